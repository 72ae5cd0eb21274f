import net from "node:net";
import type { Duplex } from "node:stream";

/**
 * Ends a stream at once, what is queued included: a TCP connection with a reset, so that the other side can't take the
 * cut for an end; anything else (a unix socket, an SSH channel) by destroying it.
 */
export function resetStream(stream: Duplex): void {
  if (stream.destroyed) return;
  // While a shutdown is under way libuv refuses the reset, and Node then leaves the descriptor open.
  const isShuttingDown = stream.writableEnded && !stream.writableFinished;
  if (stream instanceof net.Socket && !isShuttingDown) {
    try {
      stream.resetAndDestroy();
    } catch {
      // Not a TCP socket.
    }
  }
  stream.destroy();
}
