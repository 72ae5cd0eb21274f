import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const options = { baseMs: 250, capMs: 1_000 };
const most = (failures: number) => backoffMs(failures, options, () => 0.999_999);

test("the first attempt is made at once, later ones after up to a bound that doubles to its cap", () => {
  expect([0, 1, 2, 3, 4, 1000].map(most)).toEqual([0, 249, 499, 999, 999, 999]);
});

test("the wait is anything from nothing to the bound", () => {
  expect(backoffMs(3, options, () => 0)).toBe(0);
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (failures, chance) => {
      const ms = backoffMs(failures, options, () => chance);
      expect(Number.isInteger(ms) && ms >= 0 && ms < options.capMs).toBe(true);
    }),
  );
});
