import { expect, test } from "vitest";
import { mayStart } from "./start-limit.ts";

test("twenty starts in five minutes are allowed, and more when the first are older", () => {
  const starts: number[] = [];
  for (let index = 0; index < 20; index += 1) expect(mayStart(starts, index * 1000)).toBe(true);
  expect(mayStart(starts, 20_000)).toBe(false);
  expect(mayStart(starts, 299_999)).toBe(false);
  expect(mayStart(starts, 300_000)).toBe(true);
  expect(mayStart(starts, 300_500)).toBe(false);
});
