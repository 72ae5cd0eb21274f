import net from "node:net";
import type { Duplex } from "node:stream";

/**
 * Ends a stream at once: a TCP connection with a reset, what is queued included, so that the other side can't take the cut
 * for an end; anything else (a unix socket, an SSH channel) by destroying it. Where all of it is with the kernel, the end
 * as well, there is nothing left to cut, and a reset would only take back what is on its way.
 */
export function resetStream(stream: Duplex): void {
  if (stream.destroyed) return;
  // While a shutdown is under way libuv refuses the reset, too, and Node then leaves the descriptor open.
  const isWhole = stream.writableEnded && stream.writableLength === 0;
  if (stream instanceof net.Socket && !isWhole) {
    try {
      stream.resetAndDestroy();
    } catch {
      // Not a TCP socket.
    }
  }
  stream.destroy();
}
