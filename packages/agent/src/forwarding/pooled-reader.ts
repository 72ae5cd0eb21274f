import type { OnReadOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { ReadPool } from "./read-pool.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Reads of one socket into reused buffers, handed on to a sink without the stream's own buffer in between: three to
 * four times as fast as a pipe. A read that fills the small buffer gets a big one of the pool for the next; a small read
 * gives it back. A buffer is only read into again when nothing of it waits in the sink: while the sink is behind,
 * reading stops, so one direction holds at most one buffer.
 */
export class PooledReader {
  /** The `onread` option of the socket whose reads these are. */
  readonly onread: OnReadOpts & { readonly buffer: () => Buffer };
  readonly #pool: ReadPool;
  #small: Buffer;
  /** What the next read fills. */
  #next: Buffer;
  #isReleased = false;
  #sink: Duplex | undefined;
  #source: { resume(): unknown } | undefined;
  #count: (bytes: number) => void = () => {};
  /** Writes that the sink still refers to. */
  #pendingWrites = 0;
  #isWaiting = false;

  constructor(pool: ReadPool) {
    this.#pool = pool;
    this.#small = pool.takeSmall();
    this.#next = this.#small;
    this.onread = {
      buffer: () => this.#next,
      callback: (bytes, buffer) => this.#take(bytes, buffer as Buffer),
    };
  }

  /** From now on what `source` (the socket that was made with `onread`) reads goes to `sink`. */
  start(source: { resume(): unknown }, sink: Duplex, count: (bytes: number) => void): void {
    this.#source = source;
    this.#sink = sink;
    this.#count = count;
    source.resume();
  }

  /** Gives the big buffer back; call it when the socket is closed. Idempotent. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const isFree = this.#pendingWrites === 0;
    if (this.#next !== this.#small) this.#pool.give(this.#next, isFree);
    if (isFree) this.#pool.giveSmall(this.#small);
    this.#small = this.#next = NOTHING;
  }

  /** Returns whether to go on reading. */
  #take(bytes: number, buffer: Buffer): boolean {
    const sink = this.#sink;
    if (this.#isReleased) return false;
    if (sink === undefined) throw new Error("a read before the reader was started: its bytes would be lost");
    this.#count(bytes);
    this.#pendingWrites += 1;
    sink.write(bytes === buffer.length ? buffer : buffer.subarray(0, bytes), this.#written);
    // The kernel took it all within the call: the buffer is free, though its callback is still to come.
    const isTaken = sink.writableLength === 0;
    this.#fit(bytes, buffer, isTaken);
    if (!isTaken) this.#isWaiting = true;
    return isTaken;
  }

  #fit(bytes: number, buffer: Buffer, isTaken: boolean): void {
    if (this.#isReleased) return;
    if (bytes === buffer.length && buffer === this.#small) this.#next = this.#pool.take();
    else if (buffer !== this.#small && bytes <= this.#small.length && isTaken) {
      this.#pool.give(buffer, true);
      this.#next = this.#small;
    }
  }

  readonly #written = (): void => {
    this.#pendingWrites -= 1;
    if (this.#pendingWrites > 0 || !this.#isWaiting) return;
    this.#isWaiting = false;
    this.#source?.resume();
  };
}
