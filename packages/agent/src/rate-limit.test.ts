import { expect, test } from "vitest";
import { RateLimit } from "./rate-limit.ts";

test("a rate limit lets a burst through, and then so many a second", () => {
  let now = 0;
  const limit = new RateLimit(3, 2, () => now);
  const taken = () => Array.from({ length: 10 }, () => limit.take()).filter(Boolean).length;
  expect(taken()).toBe(3);
  now = 499;
  expect(taken()).toBe(0);
  now = 1500;
  expect(taken()).toBe(3);
  now = 1_000_000;
  expect(taken()).toBe(3);
});
