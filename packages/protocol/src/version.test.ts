import { expect, test } from "vitest";
import { negotiate } from "./version.ts";

test("the highest version that both sides speak is taken", () => {
  expect(negotiate({ min: 1, max: 3 }, { min: 2, max: 5 })).toBe(3);
  expect(negotiate({ min: 1, max: 3 }, { min: 1, max: 1 })).toBe(1);
});

test.each([
  ["an older agent", { min: 1, max: 1 }],
  ["a newer agent", { min: 4, max: 5 }],
  ["a range that is none", { min: 3, max: 2 }],
])("%s without a common version is protocol.version", (_name, theirs) => {
  expect(() => negotiate({ min: 2, max: 3 }, theirs)).toThrow(
    expect.objectContaining({ code: "protocol.version" }),
  );
});
