import { expect, test } from "vitest";
import { readForwardsFile } from "./read-forwards-file.ts";
import { yamlDepth } from "./yaml-depth.ts";

test.each([
  ["", 0],
  ["a", 1],
  ["a: 1\nb: [2, {c: 3}]", 4],
  ["- - - x", 4],
  ["? [a]\n: b", 3],
])("%j is %d deep", (text, depth) => {
  expect(yamlDepth(text)).toBe(depth);
});

// Composed, one of these ends the process itself: V8 has no memory left for a regular expression.
test.each([
  ["open brackets", "[".repeat(200_000)],
  ["brackets", "[".repeat(50_000) + "]".repeat(50_000)],
  ["open mappings", "{a: ".repeat(40_000)],
  ["lists on one line", "- ".repeat(60_000)],
])("a forwards.yaml of nothing but %s is refused for its depth", (_, text) => {
  expect(() => readForwardsFile(text, "forwards.yaml")).toThrow(
    /^reading forwards\.yaml: its values are nested more than 32 deep$/,
  );
});
