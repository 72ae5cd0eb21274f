import { describe, expect, test } from "vitest";
import { relayGate } from "./relay-gate.ts";

const most = (may: (count: number) => boolean) => {
  let count = 0;
  while (count < 10_000 && may(count)) count += 1;
  return count;
};

describe("what an agent has room for", () => {
  test.each([256, 1024, 4096])("fits into %i open files, with some to spare", (limit) => {
    const gate = relayGate(() => true, limit);
    const descriptors = 2 * most(gate.mayStart) + most(gate.mayWait);
    expect(descriptors).toBeLessThanOrEqual(limit - 64);
    expect(descriptors).toBeGreaterThan(limit - 70);
  });

  test("is bounded for waiting connections where files are not", () => {
    const gate = relayGate(() => true, Number.POSITIVE_INFINITY);
    expect([most(gate.mayStart), most(gate.mayWait)]).toEqual([10_000, 4096]);
  });

  test("is no relay while the lease is not held", () => {
    const gate = relayGate(() => false, 1024);
    expect([gate.mayStart(0), gate.mayWait(0)]).toEqual([false, true]);
  });
});
