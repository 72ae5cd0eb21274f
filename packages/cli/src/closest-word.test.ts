import { describe, expect, test } from "vitest";
import { closestWord } from "./closest-word.ts";

const words = ["via", "via-host-key", "token", "ttl", "host-key-check"];

describe("the word that was meant", () => {
  test.each([
    ["vai", "via"],
    ["tokn", "token"],
    ["tokeen", "token"],
    ["tkoen", "token"],
    ["host-key", "host-key-check"],
    ["tll", "ttl"],
  ])("%s is %s", (typed, meant) => expect(closestWord(typed, words)).toBe(meant));

  test.each(["xyz", "identity", "t", "to-ken-s"])("%s is none of them", (typed) => {
    expect(closestWord(typed, words)).toBeUndefined();
  });
});
