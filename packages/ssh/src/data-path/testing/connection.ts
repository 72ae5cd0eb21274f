import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { Client, type ConnectConfig } from "ssh2";
import type { Sshd } from "../../testing/index.ts";
import { DataPath, type DataPathOptions } from "../data-path.ts";
import { connectDataSocket } from "../data-socket.ts";

export interface Connection extends AsyncDisposable {
  readonly client: Client;
  readonly stream: Duplex;
  readonly path: DataPath;
  /** Errors that ssh2 reported. */
  readonly errors: Error[];
}

export interface ConnectionOptions extends DataPathOptions {
  readonly cipher?: string | undefined;
  readonly hmac?: string | undefined;
  /** Default: a data socket to the server. */
  readonly stream?: Duplex | undefined;
}

/** Where to log in, and with which key. */
export type Place = Pick<Sshd, "host" | "port" | "user"> &
  (Pick<Sshd, "userKey"> | { readonly privateKey: string });

/** A logged-in ssh2 client to `place` with a data path on it; fails where there is none. */
export async function connectTo(
  place: Place,
  { cipher = "aes128-gcm@openssh.com", hmac, stream: given, ...options }: ConnectionOptions = {},
): Promise<Connection> {
  const stream = given ?? connectDataSocket({ host: place.host, port: place.port, noDelay: true });
  const client = new Client();
  const errors: Error[] = [];
  client.on("error", (error) => errors.push(error));
  const ready = once(client, "ready");
  const algorithms = {
    kex: ["curve25519-sha256"],
    cipher: [cipher],
    compress: ["none"],
    ...(hmac === undefined ? {} : { hmac: [hmac] }),
  } as ConnectConfig["algorithms"];
  client.connect({
    sock: stream,
    username: place.user,
    privateKey: "privateKey" in place ? place.privateKey : await readFile(place.userKey.path),
    ...(algorithms === undefined ? {} : { algorithms }),
  });
  await ready;
  const path = await DataPath.attach(client, stream, { name: "the test server", ...options });
  if (!(path instanceof DataPath)) throw new Error(`no data path: ${path.unavailable}`);
  return {
    client,
    stream,
    path,
    errors,
    async [Symbol.asyncDispose]() {
      stream.destroy();
      await path.closed;
    },
  };
}
