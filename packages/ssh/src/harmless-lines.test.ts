import { expect, test } from "vitest";
import { harmlessLines } from "./harmless-lines.ts";

test("keeps line breaks and escapes what could move the cursor", () => {
  expect(harmlessLines("Welcome\r\n\tto \u001b[2J here\rand\u202e there")).toBe(
    "Welcome\n    to \\x1b[2J here\nand\\u{202e} there",
  );
});

test("cuts what is too long", () => {
  expect(harmlessLines("x".repeat(10_000), 100)).toHaveLength(100);
});
