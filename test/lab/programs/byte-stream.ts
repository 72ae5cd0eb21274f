import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";

/** What went over a connection, as one of its ends saw it. */
export interface StreamReport {
  readonly sent: number;
  readonly sentSha256: string;
  readonly received: number;
  readonly receivedSha256: string;
}

/**
 * Sends `bytes` of noise and ends, reads until the other side ends, both at once, and reports. With a rate, no faster than that in each
 * direction. Rejects on a reset.
 */
export async function exchange(
  socket: Socket,
  bytes: number,
  bytesPerSecond = Number.POSITIVE_INFINITY,
): Promise<StreamReport> {
  const startedAt = performance.now();
  /** How far ahead of the rate `moved` bytes are, in ms. */
  const ahead = (moved: number) => (moved / bytesPerSecond) * 1000 - (performance.now() - startedAt);
  const receivedHash = createHash("sha256");
  const sentHash = createHash("sha256");
  let received = 0;
  const reading = new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      receivedHash.update(chunk);
      if (ahead(received) <= 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), ahead(received));
    });
    socket.once("end", resolve);
    socket.once("error", reject);
  });
  const noise = randomBytes(Math.max(1024, Math.min(1 << 20, bytesPerSecond / 20)));
  let sent = 0;
  const writing = (async () => {
    while (sent < bytes) {
      // Each block differs, so that blocks in the wrong order are seen.
      noise.writeUInt32BE(sent >>> 12);
      const block = Buffer.from(noise.subarray(0, Math.min(noise.length, bytes - sent)));
      sentHash.update(block);
      sent += block.length;
      if (ahead(sent) > 0) await new Promise((resolve) => setTimeout(resolve, ahead(sent)));
      if (!socket.write(block)) {
        await new Promise<void>((resolve, reject) => {
          socket.once("drain", resolve);
          socket.once("close", () => reject(new Error("the connection went away while sending")));
        });
      }
    }
    socket.end();
  })();
  await Promise.all([reading, writing]);
  return { sent, sentSha256: sentHash.digest("hex"), received, receivedSha256: receivedHash.digest("hex") };
}
