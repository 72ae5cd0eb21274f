import { CodedError } from "@farside/protocol";
import { expect, test } from "vitest";
import { failedRunExitCode } from "./exit-code.ts";

test("farside's own failures exit with 125, whatever they are elsewhere", () => {
  for (const code of ["usage.invalid", "hop.auth-refused", "teardown.leftovers", "internal"] as const) {
    expect(failedRunExitCode(new CodedError(code, "x"))).toBe(125);
  }
});

test("a command that can't be started exits as in a shell", () => {
  expect(failedRunExitCode(new CodedError("command.not-found", "x"))).toBe(127);
  expect(failedRunExitCode(new CodedError("command.not-runnable", "x"))).toBe(126);
});

test("a run that was called off before its command exits with its signal's code", () => {
  const canceled = new CodedError("canceled", "x");
  expect(failedRunExitCode(canceled, "SIGINT")).toBe(130);
  expect(failedRunExitCode(canceled, "SIGTERM")).toBe(143);
  expect(failedRunExitCode(canceled)).toBe(125);
  expect(failedRunExitCode(new CodedError("hop.lost", "x"), "SIGINT")).toBe(125);
});
