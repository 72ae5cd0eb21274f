const leastChunkBytes = 4 * 1024;
const chunkBytes = 64 * 1024;

/** Payload that waits for a slow reader: copied into chunks, so that a flood of tiny packets costs what it weighs. */
export class Backlog {
  readonly #chunks: Buffer[] = [];
  /** Filled bytes of the last chunk; the others are full. */
  #filled = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Buffer, from: number, to: number): void {
    let at = from;
    this.#length += to - from;
    while (at < to) {
      let last = this.#chunks.at(-1);
      if (last === undefined || this.#filled === last.length) {
        const wanted = Math.max(
          last === undefined ? leastChunkBytes : chunkBytes,
          Math.min(to - at, chunkBytes),
        );
        last = Buffer.allocUnsafeSlow(wanted);
        this.#chunks.push(last);
        this.#filled = 0;
      }
      const copied = bytes.copy(last, this.#filled, at, to);
      this.#filled += copied;
      at += copied;
    }
  }

  /** Takes the oldest chunk out; undefined when there is none. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return undefined;
    const bytes = this.#chunks.length === 0 ? chunk.subarray(0, this.#filled) : chunk;
    this.#length -= bytes.length;
    return bytes;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#filled = this.#length = 0;
  }
}
