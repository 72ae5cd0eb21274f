import { describe, expect, test } from "vitest";
import { parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  test.each([
    ["15", 15_000],
    ["15s", 15_000],
    ["0", 0],
    ["1.5m", 90_000],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
  ])("reads %s", (text, ms) => {
    expect(parseDuration(text, "--lease")).toBe(ms);
  });

  test.each(["", "s", "-1", "15 s", "15ms", "1e3", "0x10", "15S", "fifteen", "1:30"])(
    "refuses %j",
    (text) => {
      expect(() => parseDuration(text, "--lease")).toThrow(/^--lease: .* is not a duration$/);
    },
  );

  test("refuses what is shorter than the least, and what no timer can hold", () => {
    expect(() => parseDuration("0.5", "--lease", 1000)).toThrow(/shorter than the least, 1s/);
    expect(() => parseDuration("25d", "--ttl")).toThrow(/longer than the most, 24d/);
  });
});
