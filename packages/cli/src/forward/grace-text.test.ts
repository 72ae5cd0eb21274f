import { expect, test } from "vitest";
import { graceText, openText } from "./grace-text.ts";

test("the first Ctrl-C says what it waits for, and how to end that", () => {
  expect(graceText(1, 10_000)).toBe(
    "ending the session: 1 open connection has up to 10 s; Ctrl-C again ends it now",
  );
  expect(graceText(2, 1_500)).toContain("2 open connections have up to 1.5 s");
});

test("it says nothing where nothing is waited for", () => {
  expect(graceText(0, 10_000)).toBeUndefined();
  expect(graceText(3, 0)).toBeUndefined();
});

test("a teardown's text has no Ctrl-C, which does not end the grace there", () => {
  expect(openText(1, 60_000)).toBe("1 open connection has up to 60 s");
  expect([openText(0, 10_000), openText(3, 0)]).toEqual([undefined, undefined]);
});
