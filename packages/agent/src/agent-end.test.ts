import { CodedError } from "@farside/protocol";
import { expect, test } from "vitest";
import { type AgentEnd, exitCodeOf } from "./agent-end.ts";

test.each<[AgentEnd, number]>([
  [{ reason: "stopped" }, 0],
  [{ reason: "stdin-ended" }, 0],
  [{ reason: "ttl" }, 0],
  [{ reason: "idle" }, 0],
  [{ reason: "lease-expired" }, 69],
  [{ reason: "signal", signalNumber: 15 }, 143],
  [{ reason: "fatal", error: new CodedError("protocol.bad-message", "") }, 76],
  [{ reason: "fatal" }, 70],
])("the exit code of $reason is fixed", (end, code) => {
  expect(exitCodeOf(end)).toBe(code);
});
