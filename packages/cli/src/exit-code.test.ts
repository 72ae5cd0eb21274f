import { CodedError, errorTable } from "@farside/protocol";
import { expect, test } from "vitest";
import { exitCodeOf } from "./exit-code.ts";

test("a coded error has the exit code of the table, anything else is a bug", () => {
  expect(exitCodeOf(new CodedError("hop.auth-refused", "x"))).toBe(77);
  expect(exitCodeOf(new CodedError("teardown.leftovers", "x"))).toBe(75);
  expect(exitCodeOf(new Error("x"))).toBe(70);
  expect(exitCodeOf("x")).toBe(70);
});

test("what was called off exits with the code of its signal", () => {
  const canceled = new CodedError("canceled", "x");
  expect(exitCodeOf(canceled)).toBe(130);
  expect(exitCodeOf(canceled, "SIGINT")).toBe(130);
  expect(exitCodeOf(canceled, "SIGTERM")).toBe(143);
  expect(exitCodeOf(canceled, "SIGHUP")).toBe(143);
  expect(exitCodeOf(new CodedError("card.pin-wrong", "x"), "SIGINT")).toBe(77);
});

test("every exit code of the table is one that the contract names", () => {
  const named = [64, 69, 70, 75, 76, 77, 78, 126, 127, 130];
  expect(Object.values(errorTable).every((row) => named.includes(row.exit))).toBe(true);
});
