import { type SessionEvent, sessionEvents } from "@farside/protocol";
import { filledWith } from "@farside/protocol/testing";
import { expect, test } from "vitest";
import { auditEvent } from "./session-audit.ts";

const EVIL = `a\u001b[2J\u009b2J\r\u202eb\u2028c\nd${"x".repeat(10_000)}`;
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Every text in `value`. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

test("no string of any event reaches the audit log as it came, nor at any length", () => {
  const entries: object[] = [];
  const events = Object.values(sessionEvents).flatMap((schema) => filledWith(schema, EVIL) as SessionEvent[]);
  for (const event of events)
    auditEvent({ append: (entry) => void entries.push(entry) }, { name: "s", host: "b@build" }, event);
  expect(entries.length).toBeGreaterThan(10);
  for (const text of entries.flatMap(textsIn)) {
    expect(text).not.toMatch(UNSAFE);
    expect(text.length).toBeLessThan(2_000);
  }
});
