import type { Duplex } from "node:stream";
import { CONGESTED_BYTES, SLAB_BYTES, SPARE_SLABS } from "./limits.ts";

/**
 * Outgoing packets on their way to the SSH connection. They are built in slabs, written to the connection once a turn
 * of the event loop, and a slab is used again when the kernel took all of it.
 */
export class Outbox {
  /** The memory that `reserve`'s offsets are in, until the next `reserve`. */
  slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Called when half of it or more was taken after `checkCongestion` was true. */
  onRelief: () => void = () => {};

  readonly #stream: Duplex;
  /** Bytes reserved in all, and when `mark` was last called. */
  #total = 0;
  #mark = 0;
  #written = 0;
  #flushed = 0;
  #isScheduled = false;
  #isLazy = false;
  #isLateScheduled = false;
  #isReliefDue = false;
  /** Slabs of the writes that are not done, in order; the same one once a write. */
  readonly #inFlight: Buffer[] = [];
  readonly #spare: Buffer[] = [];

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Bytes that the kernel (or the channel below) has not taken. */
  get queuedBytes(): number {
    return this.#stream.writableLength + this.#written - this.#flushed;
  }

  /** Bytes since `mark`. */
  get bytesSinceMark(): number {
    return this.#total - this.#mark;
  }

  mark(): void {
    this.#mark = this.#total;
  }

  /** True when no more payload should be added until `onRelief`. */
  checkCongestion(): boolean {
    if (this.queuedBytes < CONGESTED_BYTES) return false;
    this.#isReliefDue = true;
    return true;
  }

  /** Room for `length` (at most a slab) bytes of a packet, which are written with the others; returns where in `slab`. */
  reserve(length: number): number {
    if (this.slab.length - this.#written < length) {
      this.flush();
      if (this.slab.length - this.#written < length) this.#nextSlab();
    }
    const at = this.#written;
    this.#written += length;
    this.#total += length;
    if (this.#isLazy) {
      if (!this.#isLateScheduled) {
        this.#isLateScheduled = true;
        // The first comes at the end of this turn, the second at the end of the next.
        setImmediate(setImmediate, this.#flushLate);
      }
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flushScheduled);
    }
    return at;
  }

  /** What `add` adds nobody waits for: it goes with what the next turn brings, or alone. Each write wakes the server up. */
  lazily(add: () => void): void {
    this.#isLazy = true;
    try {
      add();
    } finally {
      this.#isLazy = false;
    }
  }

  /** Adds bytes that are sealed already. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SLAB_BYTES) {
      const piece = bytes.subarray(at, at + SLAB_BYTES);
      // First reserve: it may change the slab.
      const to = this.reserve(piece.length);
      this.slab.set(piece, to);
    }
  }

  /** Hands everything to the connection now. What can't be written any more is dropped. */
  flush(): void {
    if (this.#written === this.#flushed) return;
    const bytes = this.slab.subarray(this.#flushed, this.#written);
    this.#flushed = this.#written;
    if (!this.#stream.writable) return;
    this.#inFlight.push(this.slab);
    this.#stream.write(bytes, this.#done);
  }

  readonly #flushScheduled = (): void => {
    this.#isScheduled = false;
    this.flush();
  };

  readonly #flushLate = (): void => {
    this.#isLateScheduled = false;
    this.flush();
  };

  readonly #done = (): void => {
    const slab = this.#inFlight.shift();
    if (slab !== undefined && !this.#inFlight.includes(slab)) {
      if (slab !== this.slab) this.#recycle(slab);
      else if (this.#written === this.#flushed) this.#written = this.#flushed = 0;
    }
    if (!this.#isReliefDue || this.queuedBytes >= CONGESTED_BYTES / 2) return;
    this.#isReliefDue = false;
    this.onRelief();
  };

  #recycle(slab: Buffer): void {
    if (this.#spare.length < SPARE_SLABS) this.#spare.push(slab);
  }

  #nextSlab(): void {
    if (!this.#inFlight.includes(this.slab)) this.#recycle(this.slab);
    this.slab = this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#written = this.#flushed = 0;
  }
}
