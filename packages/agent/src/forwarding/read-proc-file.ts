import { open } from "node:fs/promises";

const FIRST_BYTES = 64 * 1024;
/** Half a million connections. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * The whole of a file of /proc, to its end or `MAX_BYTES`. Such a file has no size and comes in pieces of a page, and
 * `readFile` of Node 18 takes the first short piece for the end.
 */
export async function readProcFile(path: string): Promise<Buffer> {
  const handle = await open(path, "r");
  try {
    let buffer = Buffer.allocUnsafe(FIRST_BYTES);
    for (let fill = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, fill, buffer.length - fill, null);
      fill += bytesRead;
      if (bytesRead === 0 || fill >= MAX_BYTES) return buffer.subarray(0, fill);
      if (fill === buffer.length) {
        const grown = Buffer.allocUnsafe(2 * buffer.length);
        buffer.copy(grown, 0, 0, fill);
        buffer = grown;
      }
    }
  } finally {
    await handle.close();
  }
}
