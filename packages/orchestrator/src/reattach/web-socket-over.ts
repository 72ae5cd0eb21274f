import type { Duplex } from "node:stream";
import { CodedError, MAX_FRAME_BYTES, WebSocketStream } from "@farside/protocol";
import type { WebSocket } from "ws";

/** Where on a control socket the protocol is spoken; see section 10 of docs/protocol.md. */
const CONTROL_URL = "ws://agent/control";
/** The agent is at the other end of the host's own socket. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** Messages over WebSocket through `carrier`, which ends at a control socket, and is owned from now on. Rejects with `agent.gone` or the signal's reason. */
export async function webSocketOver(carrier: Duplex, signal: AbortSignal): Promise<WebSocketStream> {
  // Not at the start of every command: most need none.
  const { WebSocket } = await import("ws");
  signal.throwIfAborted();
  const socket = new WebSocket(CONTROL_URL, {
    // A Duplex is all that http needs of a socket.
    createConnection: (() => carrier) as never,
    ...{ perMessageDeflate: false, maxPayload: MAX_FRAME_BYTES, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
  });
  const stream = new WebSocketStream(socket);
  try {
    await opened(socket, signal);
    return stream;
  } catch (error) {
    socket.terminate();
    carrier.destroy();
    throw error;
  }
}

function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => () => {
      signal.removeEventListener("abort", aborted);
      then();
    };
    const gone = (why: string) =>
      new CodedError("agent.gone", `opening the control channel to the agent: ${why}`, { leg: "jump" });
    const aborted = settle(() => reject(signal.reason));
    signal.addEventListener("abort", aborted, { once: true });
    socket.once("open", settle(resolve));
    socket.once("error", ({ message }) => settle(() => reject(gone(message)))());
    socket.once(
      "close",
      settle(() => reject(gone("it was closed"))),
    );
  });
}
