import type { Writable } from "node:stream";
import { CodedError } from "@farside/protocol/errors";

/** Whoever read is gone, on purpose mostly: `| head -1`, a terminal that was closed. What comes after the first of these is one of them, too. */
const READER_GONE: ReadonlySet<string | undefined> = new Set([
  "EPIPE",
  "ECONNRESET",
  "EIO",
  "ERR_STREAM_DESTROYED",
]);

/** Tells at the end why `stdout` did not get all that was written to it; undefined where it did, or nobody wanted it any more. */
export function watchOutput(stdout: Writable): () => Promise<CodedError | undefined> {
  let lost: CodedError | undefined;
  stdout.on("error", (cause: NodeJS.ErrnoException) => {
    if (READER_GONE.has(cause.code)) return;
    lost ??= new CodedError("output.lost", `writing to stdout: ${cause.message}`, { cause });
  });
  return async () => {
    // A stream tells of an error a moment after it has met it.
    await new Promise((resolve) => setImmediate(resolve));
    return lost;
  };
}
