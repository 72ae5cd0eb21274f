import { createReadStream } from "node:fs";
import { CodedError, deadline } from "@farside/protocol";
import type { ExecStream } from "@farside/ssh";

const CHUNK_BYTES = 256 * 1024;
/** A link on which nothing moves for so long is dead, whatever it has carried before. */
const STALL_MS = 60_000;

export interface SendFileOptions {
  readonly path: string;
  readonly bytes: number;
  /** Borrowed, and not ended. */
  readonly channel: Pick<ExecStream, "write" | "writableLength">;
  /** `user@host`, for messages. */
  readonly host: string;
  /** Hears how much has left; at most once a chunk. */
  readonly onProgress?: ((sent: number) => void) | undefined;
  /** Ends it at once, with its reason. */
  readonly signal: AbortSignal;
}

/** Writes a file to a channel as fast as it takes it. Rejects with `timeout` where it takes nothing for a minute, or the signal's reason. */
export async function sendFile(options: SendFileOptions): Promise<void> {
  const { path, bytes, channel, host, onProgress, signal } = options;
  let sent = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
    const stalled = () =>
      new CodedError(
        "timeout",
        `sending a Node.js to ${host}: nothing went through for ${STALL_MS / 1000} s`,
        {
          leg: "jump",
          hint: "Look at the network between here and there.",
        },
      );
    const limit = deadline(STALL_MS, stalled, { signal });
    try {
      await written(channel, chunk as Buffer, limit.signal);
    } finally {
      limit.release();
    }
    sent += (chunk as Buffer).length;
    onProgress?.(Math.min(sent, bytes));
  }
}

/** Resolves when the channel has passed `chunk` on, which is when the host had room for it. */
function written(channel: SendFileOptions["channel"], chunk: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    channel.write(chunk, (error) => {
      signal.removeEventListener("abort", stop);
      if (error) reject(error);
      else resolve();
    });
  });
}
