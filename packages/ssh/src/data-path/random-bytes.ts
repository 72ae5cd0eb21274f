import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4096);
let used = pool.length;

/** Writes `count` (at most 255) random bytes at `target[at]`. Asking the system for every packet's would cost as much as its cipher. */
export function randomBytesOf(count: number, target: Buffer, at: number): void {
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  pool.copy(target, at, used, used + count);
  used += count;
}
