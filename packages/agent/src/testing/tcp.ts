import { once } from "node:events";
import net from "node:net";

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Set<net.Socket>;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** The first connection. */
  readonly first: Promise<net.Socket>;
}

/** A server on 127.0.0.1 whose connections may be half closed; disposing cuts them. */
export async function serveTcp(
  onConnection: (socket: net.Socket) => void = () => {},
  listen: net.ListenOptions = { host: "127.0.0.1", port: 0 },
): Promise<TestServer> {
  const sockets = new Set<net.Socket>();
  let accepted = 0;
  let resolveFirst: (socket: net.Socket) => void;
  const first = new Promise<net.Socket>((resolve) => {
    resolveFirst = resolve;
  });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    resolveFirst(socket);
    onConnection(socket);
  });
  server.listen(listen);
  await once(server, "listening");
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    sockets,
    first,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
  };
}

/** A server on a port of `host`, one of the two loopback addresses, that is free at the other. */
export async function serveOnOne(
  host: "127.0.0.1" | "::1",
  onConnection?: (socket: net.Socket) => void,
): Promise<TestServer> {
  for (;;) {
    const server = await serveTcp(onConnection, { host, port: 0 });
    const other = host === "::1" ? "127.0.0.1" : "::1";
    const there = await serveTcp(undefined, { host: other, port: server.port }).catch(
      ({ code }: NodeJS.ErrnoException) => code,
    );
    if (typeof there === "object") await there[Symbol.asyncDispose]();
    // Any other failure: this machine has no such address.
    if (there !== "EADDRINUSE") return server;
    await server[Symbol.asyncDispose]();
  }
}

/** A connected socket that may be half closed; the caller destroys it. */
export async function connect(options: net.NetConnectOpts): Promise<net.Socket> {
  const socket = net.connect({ ...options, allowHalfOpen: true });
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}

/** Everything up to the end, which leaves the way back open; rejects where the connection breaks. */
export function readAll(socket: net.Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before its end")));
    if (socket.errored) reject(socket.errored);
    else if (socket.destroyed) reject(new Error("closed before its end"));
  });
}
