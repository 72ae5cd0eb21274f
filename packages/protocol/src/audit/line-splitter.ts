import { MAX_LINE_BYTES } from "./audit-line.ts";

/** Cuts bytes into lines as they come. A line is kept no further than a line may be long. */
export class LineSplitter {
  readonly #take: (line: Uint8Array) => void;
  #rest: Buffer = Buffer.alloc(0);

  /** `take` gets each line without its line break. */
  constructor(take: (line: Uint8Array) => void) {
    this.#take = take;
  }

  push(chunk: Uint8Array): void {
    const taken = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let bytes: Buffer = this.#rest.length === 0 ? taken : Buffer.concat([this.#rest, taken]);
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a)) {
      this.#take(bytes.subarray(0, at));
      bytes = bytes.subarray(at + 1);
    }
    // Longer than any line: what it is does not matter, but that it is not one.
    this.#rest =
      bytes.length > MAX_LINE_BYTES
        ? Buffer.concat([bytes.subarray(0, MAX_LINE_BYTES), Buffer.of(0)])
        : Buffer.from(bytes);
  }

  /** Takes what is left as a line; whether there was nothing, so that the last one had its line break. */
  end(): boolean {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    if (rest.length > 0) this.#take(rest);
    return rest.length === 0;
  }
}
