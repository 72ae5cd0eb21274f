import { type FileHandle, open } from "node:fs/promises";

const NEWLINE = 0x0a;
/** More than a piece: the kernel hands such a file out by the page. */
const BUFFER_BYTES = 64 * 1024;
/** A piece with room left for two more lines, in the smallest of pages, is the last one. */
const LAST_PIECE_BYTES = 4096 - 512;
/** Half a million connections. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * A table of /proc that is read again and again: its file stays open, and reading stops as soon as it may. Each read of
 * /proc/net/tcp walks the kernel's whole hash table, that of the end once more.
 */
export class ProcTable {
  readonly #path: string;
  #file: Promise<FileHandle> | undefined;
  #buffer: Buffer | undefined;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Hands out pieces of whole lines until `take` returns true or the table ends; `toItsEnd` does not take a short piece
   * for the end. One read at a time. Rejects where the file can't be read.
   */
  async read(take: (lines: Buffer) => boolean, { toItsEnd = false } = {}): Promise<void> {
    if (this.#isClosed) throw new Error(`${this.#path} is closed`);
    this.#file ??= open(this.#path, "r");
    const file = await this.#file.catch((error) => {
      this.#file = undefined;
      throw error;
    });
    this.#buffer ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const buffer = this.#buffer;
    let kept = 0;
    for (let position = 0; position < MAX_BYTES; ) {
      const { bytesRead } = await file.read(buffer, kept, buffer.length - kept, position);
      position += bytesRead;
      const filled = kept + bytesRead;
      const end = bytesRead === 0 ? filled : buffer.lastIndexOf(NEWLINE, filled - 1) + 1;
      if (end > 0 && take(buffer.subarray(0, end))) return;
      if (bytesRead === 0 || (!toItsEnd && bytesRead < LAST_PIECE_BYTES)) return;
      kept = end === 0 && filled === buffer.length ? 0 : filled - end;
      buffer.copyWithin(0, end, filled);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}
