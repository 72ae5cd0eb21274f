import { createHash } from "node:crypto";

/** Longer than any buffer on the way and prime, so that no piece stands where it could stand in for another. */
const PERIOD = 1_048_573;

/** Two endless streams of noise, one a direction; the byte at a place is the same in every process. */
export class BytePattern {
  readonly #noise: Buffer;

  constructor(direction: "to service" | "to client") {
    const blocks = Array.from({ length: Math.ceil(PERIOD / 32) }, (_, index) =>
      createHash("sha256").update(`${direction} ${index}`).digest(),
    );
    this.#noise = Buffer.concat(blocks).subarray(0, PERIOD);
  }

  /** At most `bytes` from place `at` on. */
  slice(at: number, bytes: number): Buffer {
    const from = at % PERIOD;
    return this.#noise.subarray(from, Math.min(PERIOD, from + bytes));
  }

  /** Whether `chunk` is what stands from place `at` on. */
  matches(at: number, chunk: Buffer): boolean {
    for (let done = 0; done < chunk.length; ) {
      const expected = this.slice(at + done, chunk.length - done);
      if (expected.compare(chunk, done, done + expected.length) !== 0) return false;
      done += expected.length;
    }
    return true;
  }
}
