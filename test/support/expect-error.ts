import type { ErrorCode, Leg } from "@farside/protocol";
import { errorTable } from "@farside/protocol";
import { expect } from "vitest";
import type { FarsideRun } from "./farside.ts";
import { within } from "./wait-for.ts";

const END_WITHIN_MS = 45_000;

export interface ExpectedError {
  readonly code: ErrorCode;
  readonly leg?: Leg;
  readonly says?: RegExp;
  readonly hint?: RegExp;
}

/**
 * farside ended with this one error: its code, its exit status, one line of message and one of hint, no stack trace.
 * Works for `--json` runs and for runs that speak to people.
 */
export async function expectError(farside: FarsideRun, expected: ExpectedError): Promise<void> {
  const { code } = await within(farside.exit, END_WITHIN_MS, "the end of farside").catch((error: Error) => {
    throw new Error(`${error.message}\n${farside.transcript}`);
  });
  const { stdout, stderr } = farside.process;
  const found = farside.of("error").at(-1) ?? spoken(stderr);
  expect(found?.code, farside.transcript).toBe(expected.code);
  expect(code, farside.transcript).toBe(errorTable[expected.code].exit);
  if (expected.says !== undefined) expect(found?.message, farside.transcript).toMatch(expected.says);
  if (expected.hint !== undefined) expect(found?.hint, farside.transcript).toMatch(expected.hint);
  if (expected.leg !== undefined) expect(found?.leg, farside.transcript).toBe(expected.leg);
  expect(found?.message).not.toContain("\n");
  expect(`${stdout}${stderr}`).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
}

interface SpokenError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly leg?: Leg | undefined;
}

function spoken(stderr: string): SpokenError | undefined {
  const match = /^error\[([\w.-]+)\]: (.*)$(?:\nhint: (.*)$)?/m.exec(stderr);
  return match === null ? undefined : { code: match[1] ?? "", message: match[2] ?? "", hint: match[3] };
}
