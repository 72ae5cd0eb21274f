import { once } from "node:events";
import { createServer, type ListenOptions, type Socket } from "node:net";

export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  /** Sockets that are open now. */
  readonly sockets: ReadonlySet<Socket>;
}

/** A server on 127.0.0.1 (or where `listen` says) that gives each connection to `serve`. Half-open connections are kept open. */
export async function tcpServer(
  serve: (socket: Socket) => void,
  listen: ListenOptions = {},
): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket);
  });
  server.listen(listen.path === undefined ? { host: "127.0.0.1", port: 0, ...listen } : listen);
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
