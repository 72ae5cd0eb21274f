import { Duplex } from "node:stream";

/** One end of a stream pair; what is written to it is read from the other. */
class PairedStream extends Duplex {
  other: PairedStream | undefined;
  /** Lets the other end go on writing, once this one is read. */
  #resume: ((error?: Error) => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const other = this.other;
    if (other === undefined || other.destroyed) done(brokenPipe());
    else if (other.push(chunk)) done();
    else other.#resume = done;
  }

  override _read(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  override _final(done: () => void): void {
    if (this.other?.destroyed === false) this.other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.(brokenPipe());
    // The end of a socket that is destroyed before it has ended is a reset for the other.
    if (!this.writableFinished) this.other?.destroy();
    done(error);
  }
}

/** Two joined Duplexes with backpressure, half-close and reset: what a socket pair does, without a socket. */
export function streamPair(highWaterMark = 16 * 1024): [Duplex, Duplex] {
  const a = new PairedStream({ highWaterMark });
  const b = new PairedStream({ highWaterMark });
  a.other = b;
  b.other = a;
  return [a, b];
}

function brokenPipe(): Error {
  return Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
}
