import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import ssh2, { type Connection } from "ssh2";

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
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "pkcs1", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  let dials = 0;
  let received = 0;
  const connections = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (connection) => {
    connections.add(connection);
    connection.on("error", () => {});
    // What `accept` would answer to the question about a key is only that the key would do.
    connection.on("authentication", (context) => {
      (context as unknown as { _cbfinal(isAllowed: boolean): void })._cbfinal(true);
    });
    connection.on("tcpip", (accept) => {
      dials += 1;
      accept().on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    hostKey: parsed.getPublicSSH(),
    get dials() {
      return dials;
    },
    get received() {
      return received;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.end();
      server.close();
      await once(server, "close");
    },
  };
}
