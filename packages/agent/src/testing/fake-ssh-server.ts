import { readFile } from "node:fs/promises";
import { letAnybodyIn, makeKeyPair, ssh2Server, temporaryFolder } from "@farside/ssh/testing";

/** A server that lets anybody in without asking for a signature, as a redirected connection may meet. */
export interface FakeSshServer extends AsyncDisposable {
  readonly port: number;
  /** Public key blob. */
  readonly hostKey: Uint8Array;
  /** Forwardings that were asked for. */
  readonly dials: number;
  /** Bytes that came in forwardings. */
  readonly received: number;
}

export async function fakeSshServer(): Promise<FakeSshServer> {
  await using folder = await temporaryFolder();
  const key = await makeKeyPair(folder.file("host"), "rsa-2048");
  const hostKeys = [await readFile(key.path)];
  let dials = 0;
  let received = 0;
  const server = await ssh2Server(
    (connection) => {
      connection.on("authentication", letAnybodyIn);
      connection.on("tcpip", (accept) => {
        dials += 1;
        accept().on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
      });
    },
    { hostKeys },
  );
  return {
    port: server.port,
    hostKey: key.publicKey.blob,
    get dials() {
      return dials;
    },
    get received() {
      return received;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
