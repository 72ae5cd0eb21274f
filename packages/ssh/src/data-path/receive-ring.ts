import { RING_BYTES } from "./limits.ts";

/**
 * The memory that the SSH connection is read into. Nothing but the part of the last packet that is not whole yet
 * outlives a read, so one ring serves the connection for its life.
 */
export class ReceiveRing {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(RING_BYTES);
  /** What was read and not opened yet. */
  start = 0;
  end = 0;

  /** Where the next read goes. */
  room(): Buffer {
    return this.bytes.subarray(this.end);
  }

  /** `count` bytes of the room were filled. */
  filled(count: number): void {
    this.end += count;
  }

  /** Everything before `start` was opened. Leaves room for a read that is worth its call. */
  opened(start: number): void {
    this.start = start;
    if (start === this.end) {
      this.start = this.end = 0;
      return;
    }
    const left = this.end - start;
    // Moving a long rest often costs more than a shorter read does.
    if (left < 16 * 1024 || this.bytes.length - this.end < this.bytes.length / 4) {
      this.bytes.copyWithin(0, start, this.end);
      this.start = 0;
      this.end = left;
    }
  }
}
