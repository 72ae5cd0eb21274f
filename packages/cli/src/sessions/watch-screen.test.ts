import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { isScreen, screenText } from "./watch-screen.ts";

const terminal = (columns: number, rows: number) =>
  Object.assign(new PassThrough(), { isTTY: true, columns, rows });

test("no line wraps and nothing scrolls, however small the terminal", () => {
  const lines = Array.from({ length: 50 }, (_, index) => `${index} ${"x".repeat(300)}`);
  for (const [columns, rows] of [
    [80, 24],
    [20, 3],
    [0, 0],
  ] as const) {
    const text = screenText(lines, terminal(columns, rows), false);
    const drawn = text.split("\n").map((line) => stripVTControlCharacters(line));
    expect(drawn.length).toBeLessThanOrEqual(rows || 24);
    for (const line of drawn) expect(line.length).toBeLessThan(columns || 80);
    expect(text).toContain("more");
  }
});

test("what was drawn before is gone, and the screen is cleared once", () => {
  expect(screenText(["a"], terminal(80, 24), true)).toBe("\u001b[2J\u001b[Ha\u001b[K\n\u001b[J");
  expect(screenText(["b"], terminal(80, 24), false)).toBe("\u001b[Hb\u001b[K\n\u001b[J");
});

test("a file, a program and a terminal that can't be drawn on are no screens", () => {
  expect(isScreen(terminal(80, 24), { TERM: "xterm" })).toBe(true);
  expect(isScreen(terminal(80, 24), { TERM: "dumb" })).toBe(false);
  expect(isScreen(new PassThrough(), { TERM: "xterm" })).toBe(false);
});
