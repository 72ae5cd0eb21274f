import { CodedError } from "@farside/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DialBudget } from "./dial-budget.ts";

const chance = fc.double({ min: 0, max: 1, noNaN: true });
/** Costs nothing at the host. */
const unreachable = new CodedError("hop.unreachable", "no");

describe("the dials of a hop", () => {
  test("pause after each failure for longer, up to half a minute, and not after a success", () => {
    let now = 0;
    const budget = new DialBudget(
      () => now,
      undefined,
      () => 1,
    );
    const pauses: number[] = [];
    for (let failure = 0; failure < 8; failure += 1) {
      budget.failed(unreachable);
      pauses.push(budget.waitMs);
      now += budget.waitMs;
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    budget.failed(unreachable);
    budget.succeeded();
    expect(budget.waitMs).toBe(0);
  });

  test("pause for half of that at least, and never for the same time", () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), chance, chance, (failures, one, other) => {
        const [pause, another] = [one, other].map((random) => {
          const budget = new DialBudget(
            () => 0,
            undefined,
            () => random,
          );
          for (let failure = 0; failure <= failures; failure += 1) budget.failed(unreachable);
          return budget.waitMs;
        }) as [number, number];
        const longest = Math.min(30_000, 1000 * 2 ** failures);
        expect(pause).toBeGreaterThanOrEqual(longest / 2);
        expect(pause).toBeLessThanOrEqual(longest);
        expect(Math.abs(pause - another)).toBeCloseTo((Math.abs(one - other) * longest) / 2, 3);
      }),
    );
  });

  test("are eight a minute at most, however well they go", () => {
    let now = 0;
    const budget = new DialBudget(() => now);
    for (let dial = 0; dial < 8; dial += 1) {
      expect(budget.waitMs).toBe(0);
      budget.spend();
      budget.succeeded();
      now += 1000;
    }
    expect(budget.waitMs).toBe(52_000);
    now = 60_000;
    expect(budget.waitMs).toBe(0);
  });

  test("leave three a minute to a hop that is lost, when further connections are asked for", () => {
    let now = 0;
    const budget = new DialBudget(() => now);
    for (let dial = 0; dial < 5; dial += 1) {
      expect(budget.hasSpare).toBe(true);
      budget.spend();
    }
    expect([budget.hasSpare, budget.waitMs]).toEqual([false, 0]);
    now = 60_000;
    expect(budget.hasSpare).toBe(true);
    budget.failed(unreachable);
    expect(budget.hasSpare).toBe(false);
  });
});
