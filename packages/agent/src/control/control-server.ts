import http from "node:http";
import type net from "node:net";
import type { Duplex } from "node:stream";
import { CodedError, MAX_FRAME_BYTES, type MessageStream, WebSocketStream } from "@farside/protocol";
import { type WebSocket, WebSocketServer } from "ws";
import type { Listener } from "../forwarding/listener.ts";
import { openUnixListener } from "../forwarding/unix-listener.ts";
import { removeStaleSocket } from "../takeover/stale-socket.ts";

/** Where on the socket the protocol is spoken. */
const CONTROL_PATH = "/control";
/** An orchestrator, the one that it takes over from, and some that ask. */
const MAX_CHANNELS = 16;
/** Whoever connects must ask for something within this time. */
const REQUEST_TIMEOUT_MS = 5_000;

export interface ControlServerOptions {
  /** In a folder that is private already; see `openRunDirectory`. */
  readonly path: string;
  /** Gets each control channel, and owns it. */
  readonly onChannel: (stream: MessageStream) => void;
  readonly onError: (error: Error) => void;
  /** Answers plain HTTP requests; default: there is nothing. */
  readonly onRequest?: http.RequestListener | undefined;
}

/** An agent's control socket, of mode 0600: the protocol over WebSocket, for processes of the same user. */
export class ControlServer implements AsyncDisposable {
  readonly path: string;
  readonly #listener: Listener;
  readonly #http: http.Server;
  readonly #sockets: Set<net.Socket>;
  #closing: Promise<void> | undefined;

  /**
   * Listens. A socket that nobody answers on any more is taken over. Rejects with `session.name-in-use` where a live one
   * is there, and with `forward.bind-refused`.
   */
  static async open(options: ControlServerOptions): Promise<ControlServer> {
    await makeRoom(options.path);
    const webSockets = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false, maxPayload: MAX_FRAME_BYTES },
    });
    const server = http.createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, options.onRequest ?? notFound);
    let channels = 0;
    server.on("upgrade", (request, socket: Duplex, head: Buffer) => {
      if (request.url !== CONTROL_PATH || channels >= MAX_CHANNELS) return socket.destroy();
      webSockets.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
        channels += 1;
        webSocket.on("close", () => {
          channels -= 1;
        });
        options.onChannel(new WebSocketStream(webSocket));
      });
    });
    const sockets = new Set<net.Socket>();
    const listener = await openUnixListener(
      { kind: "unix", path: options.path },
      {
        onConnection: (socket) => {
          sockets.add(socket);
          socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
          server.emit("connection", socket);
          socket.resume();
        },
        onError: options.onError,
      },
    );
    return new ControlServer(options.path, { listener, server, sockets });
  }

  private constructor(
    path: string,
    { listener, server, sockets }: { listener: Listener; server: http.Server; sockets: Set<net.Socket> },
  ) {
    this.path = path;
    this.#listener = listener;
    this.#http = server;
    this.#sockets = sockets;
  }

  /** Removes the socket and cuts what is connected; close the channels before. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#listener.close();
    this.#http.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function notFound(_request: http.IncomingMessage, response: http.ServerResponse): void {
  response.writeHead(404).end();
}

async function makeRoom(path: string): Promise<void> {
  const found = await removeStaleSocket(path, process.getuid?.() ?? -1);
  if (found === "live") {
    throw new CodedError("session.name-in-use", `opening the control socket ${path}: a live agent has it`, {
      leg: "jump",
      hint: "Take another --name, or end that one with: farside teardown --host HOST",
    });
  }
  if (found === "foreign") {
    throw new CodedError(
      "forward.bind-refused",
      `opening the control socket ${path}: something else is there`,
      {
        leg: "jump",
      },
    );
  }
}
