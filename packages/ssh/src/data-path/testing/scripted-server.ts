import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import ssh2 from "ssh2";

/** Not ssh2's own generateKeyPairSync: of an Ed25519 key that begins with a zero byte, one in 256, it drops that byte. */
const anyKey = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "sec1", format: "pem" },
}).privateKey;

/** A server's side of a connection, as ssh2 has it, for saying things that no server should say. */
export interface ServerProtocol {
  _handlers: Record<string, (protocol: ServerProtocol, ...rest: never[]) => void>;
  _cipher: { encrypt(packet: Buffer): void; allocPacket(length: number): Buffer };
  rekey(): void;
  channelOpenConfirm(remote: number, local: number, window: number, maxPacket: number): void;
  channelOpenFail(remote: number, reason: number, description: string): void;
  channelData(remote: number, data: Buffer): void;
  channelExtData(remote: number, data: Buffer, type: number): void;
  channelEOF(remote: number): void;
  channelClose(remote: number): void;
  channelWindowAdjust(remote: number, bytes: number): void;
}

/** One CHANNEL_OPEN of the client. */
export interface OpenRequest {
  readonly sender: number;
  readonly window: number;
  readonly packetSize: number;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly user: "anybody";
  readonly privateKey: string;
  /** The TCP side of the last connection. */
  socket(): Socket;
}

/** A server that lets anybody in and answers requests for channels as `script` does. */
export async function startScriptedServer(
  script: (protocol: ServerProtocol, request: OpenRequest) => void,
): Promise<ScriptedServer> {
  const server = new ssh2.Server({ hostKeys: [anyKey] }, (client) => {
    client.on("error", () => {});
    client.on("authentication", (context) => context.accept());
    client.on("ready", () => {
      const { _protocol: protocol } = client as unknown as { _protocol: ServerProtocol };
      protocol._handlers["CHANNEL_OPEN"] = (_, request: OpenRequest) => script(protocol, request);
      // The script answers by hand; what the client then says about its channels is not for ssh2.
      for (const name of ["CHANNEL_DATA", "CHANNEL_EOF", "CHANNEL_CLOSE", "CHANNEL_WINDOW_ADJUST"])
        protocol._handlers[name] = () => {};
    });
  });
  let last: Socket | undefined;
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    last = socket;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    (server as unknown as { injectSocket(socket: Socket): void }).injectSocket(socket);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    host: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    user: "anybody",
    privateKey: anyKey,
    socket() {
      if (last === undefined) throw new Error("nobody connected");
      return last;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Sends `payload` as one packet. */
export function sendPayload(protocol: ServerProtocol, payload: Buffer): void {
  const packet = protocol._cipher.allocPacket(payload.length);
  payload.copy(packet, 5);
  protocol._cipher.encrypt(packet);
}
