import { describe, expect, test } from "vitest";
import { median, percentile, ratioOf, spreadOf } from "./statistics.ts";

describe("statistics", () => {
  test("the median of an odd count is the number in the middle, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  test("the median of an even count is the mean of the two in the middle", () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  test("numbers are ordered as numbers, not as text", () => {
    expect(median([10, 9, 100])).toBe(10);
  });

  test("a spread leaves out what was not measured", () => {
    expect(spreadOf([3, Number.NaN, 1, 2])).toEqual({ median: 2, least: 1, most: 3, count: 3 });
    expect(spreadOf([]).median).toBeNaN();
  });

  test("a ratio is that of the medians, its spread that of the rounds", () => {
    const { median: ratio, least, most } = ratioOf([200, 300, 220], [100, 100, 110]);
    expect(ratio).toBeCloseTo(2.2);
    expect(least).toBe(2);
    expect(most).toBe(3);
  });

  test("a ratio pairs rounds and ignores those that only one side has", () => {
    expect(ratioOf([10, 20], [5])).toEqual({ median: 3, least: 2, most: 2, count: 1 });
    expect(ratioOf([10, 20], [Number.NaN, 10]).count).toBe(1);
  });

  test("a percentile takes the number at that share of the order", () => {
    const numbers = Array.from({ length: 1000 }, (_, index) => 999 - index);
    expect(percentile(numbers, 0.5)).toBe(500);
    expect(percentile(numbers, 0.99)).toBe(990);
    expect(percentile([7], 0.999)).toBe(7);
  });
});
