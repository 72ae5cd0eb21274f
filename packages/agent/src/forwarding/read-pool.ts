/** What a read takes while its connection is busy: past this size a bigger buffer brings no more speed. */
export const BUSY_READ_BYTES = 256 * 1024;
/** What a busy connection gets when all big buffers are out. */
const SPARE_READ_BYTES = 16 * 1024;
/** Big buffers that may be out at a time: 32 MiB, whatever the number of connections. */
const MAX_BUFFERS_OUT = 128;
/** Big buffers that are kept for the next busy connection. */
const MAX_BUFFERS_KEPT = 32;

/** What a read takes while its connection is idle. */
const IDLE_READ_BYTES = 4096;
/** Small buffers that are kept for the next connections. */
const MAX_SMALL_KEPT = 512;

/** Read buffers that busy connections share, so that an idle one costs only its own small one; those are used again, too. */
export class ReadPool {
  readonly #kept: Buffer[] = [];
  readonly #smallKept: Buffer[] = [];
  #out = 0;

  /** Big buffers that are lent now. */
  get lent(): number {
    return this.#out;
  }

  take(): Buffer {
    if (this.#out >= MAX_BUFFERS_OUT) return Buffer.allocUnsafeSlow(SPARE_READ_BYTES);
    this.#out += 1;
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(BUSY_READ_BYTES);
  }

  /** The buffer of a connection that is idle. */
  takeSmall(): Buffer {
    return this.#smallKept.pop() ?? Buffer.allocUnsafeSlow(IDLE_READ_BYTES);
  }

  /** Takes a buffer of `takeSmall` back to which nothing refers any more. */
  giveSmall(buffer: Buffer): void {
    if (this.#smallKept.length < MAX_SMALL_KEPT) this.#smallKept.push(buffer);
  }

  /** Takes a buffer of `take` back. `isFree`: nothing refers to its bytes any more, so another connection may have it. */
  give(buffer: Buffer, isFree: boolean): void {
    if (buffer.length !== BUSY_READ_BYTES) return;
    this.#out -= 1;
    if (isFree && this.#kept.length < MAX_BUFFERS_KEPT) this.#kept.push(buffer);
  }
}

/** The one pool of this process. */
export const readPool = new ReadPool();
