import { describe, expect, test } from "vitest";
import { BUSY_READ_BYTES, ReadPool } from "./read-pool.ts";

describe("the read pool", () => {
  test("lends a buffer again that came back free, and drops one that is still in use", () => {
    const pool = new ReadPool();
    const first = pool.take();
    const second = pool.take();
    pool.give(first, true);
    pool.give(second, false);
    const third = pool.take();
    const fourth = pool.take();
    // Compared by identity; a failing toBe would print both.
    expect([third === first, fourth === second]).toEqual([true, false]);
    expect(pool.lent).toBe(2);
  });

  test("hands small buffers on to the next connections, a bounded number of them", () => {
    const pool = new ReadPool();
    const first = pool.takeSmall();
    pool.giveSmall(first);
    expect(pool.takeSmall() === first).toBe(true);
    expect(pool.takeSmall() === first).toBe(false);
    const many = Array.from({ length: 2000 }, () => pool.takeSmall());
    for (const buffer of many) pool.giveSmall(buffer);
    const again = Array.from({ length: 2000 }, () => pool.takeSmall());
    expect(again.filter((buffer) => many.includes(buffer))).toHaveLength(512);
  });

  test("lends a bounded number of big buffers and small ones beyond", () => {
    const pool = new ReadPool();
    const taken = Array.from({ length: 300 }, () => pool.take());
    const total = taken.reduce((sum, buffer) => sum + buffer.length, 0);
    expect(taken[0]?.length).toBe(BUSY_READ_BYTES);
    expect(taken.at(-1)?.length).toBeLessThan(BUSY_READ_BYTES);
    expect(total).toBeLessThan(64 * 1024 * 1024);
    for (const buffer of taken) pool.give(buffer, true);
    expect(pool.lent).toBe(0);
  });
});
