import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import ssh2, { type AuthContext, type Connection, type ServerConfig } from "ssh2";
import type { HostKeyVerifier } from "../host-key.ts";

/** A server that does what no sshd would do. */
export interface Ssh2Server extends AsyncDisposable {
  readonly port: number;
  /** How many sessions were asked for. */
  readonly sessions: number;
}

export const anyHostKey: HostKeyVerifier = { keyTypes: () => [], verify: async () => {} };

export async function ssh2Server(
  serve: (connection: Connection) => void,
  config: Partial<ServerConfig> = {},
): Promise<Ssh2Server> {
  let sessions = 0;
  const connections = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [rsaPrivateKey()], ...config }, (connection) => {
    connections.add(connection);
    connection.on("error", () => {});
    connection.on("close", () => connections.delete(connection));
    connection.on("session", () => {
      sessions += 1;
    });
    serve(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    get sessions() {
      return sessions;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.end();
      server.close();
      await once(server, "close");
    },
  };
}

interface ServerProtocol {
  readonly _packetRW: {
    readonly write: { allocStart: number; alloc(length: number): Buffer; finalize(packet: Buffer): Buffer };
  };
  readonly _cipher: { encrypt(packet: Buffer): void };
}

/** Sends any message to the client, whether it is its turn or not. */
export function sendPayload(connection: Connection, payload: Uint8Array): void {
  const { _packetRW, _cipher } = (connection as unknown as { _protocol: ServerProtocol })._protocol;
  const packet = _packetRW.write.alloc(payload.length);
  packet.set(payload, _packetRW.write.allocStart);
  _cipher.encrypt(_packetRW.write.finalize(packet));
}

/** Replaces what the server does with userauth requests from now on. */
export function onUserauthRequest(connection: Connection, handle: () => void): void {
  const { _protocol } = connection as unknown as {
    _protocol: { _handlers: { USERAUTH_REQUEST: () => void } };
  };
  _protocol._handlers.USERAUTH_REQUEST = handle;
}

/** Lets a client in that has only asked whether its key would do: ssh2's own `accept` would say that it does. */
export function letAnybodyIn(context: AuthContext): void {
  (context as unknown as { _cbfinal(isAllowed: boolean): void })._cbfinal(true);
}

/** Gives the server another host key for the key exchanges to come, and starts one. */
export function rekeyWithOtherHostKey(connection: Connection): void {
  const { _protocol } = connection as unknown as { _protocol: { _hostKeys: Record<string, unknown> } };
  for (const algorithm of Object.keys(_protocol._hostKeys))
    _protocol._hostKeys[algorithm] = ssh2.utils.parseKey(rsaPrivateKey());
  connection.rekey();
}

function rsaPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "pkcs1", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  return privateKey;
}
