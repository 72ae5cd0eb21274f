import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A listener on a free port of 127.0.0.1 that hands every connection to `accept`. Disposing ends all of them. */
export interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}

export async function listen(
  accept: (socket: Socket) => void,
  options: { pauseOnConnect?: boolean; path?: string } = {},
): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, pauseOnConnect: options.pauseOnConnect === true },
    (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket)).on("error", () => {});
      accept(socket);
    },
  );
  if (options.path === undefined) server.listen(0, "127.0.0.1", 1024);
  else server.listen(options.path);
  await once(server, "listening");
  const address = server.address();
  return {
    server,
    port: typeof address === "object" ? ((address as AddressInfo | null)?.port ?? 0) : 0,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A connected client; errors are for whoever waits for `close`. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}

/** Resolves when `socket` is closed, with or without an error. */
export function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Resolves when `isTrue` holds, looking once a turn; rejects after `ms`. */
export async function until(isTrue: () => boolean, what: string, ms = 30_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
