import { CodedError, type ErrorCode, type Receipt } from "@farside/protocol";
import type { SessionState } from "./session-state.ts";

/** How a session ended. */
export interface SessionEnd {
  /** Why; undefined where it was closed on purpose and left nothing. */
  readonly failure: CodedError | undefined;
  /** Undefined where nothing was ever started on the jump host. */
  readonly receipt: Receipt | undefined;
}

export interface EndedSession {
  readonly name: string;
  readonly host: string;
  readonly state: SessionState;
  readonly wasReady: boolean;
  readonly receipt: Receipt | undefined;
}

/** What can be done about an end that comes from outside: whoever noticed it knew no more than that it came. */
const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  "hop.lost": "Start it again once the host can be reached.",
  "agent.gone": "Start it again; --log-level debug shows what the agent says.",
};

function withHint(failure: CodedError): CodedError {
  const hint = failure.hint ?? hints[failure.code];
  const { code, message, leg, data, cause } = failure;
  return hint === failure.hint ? failure : new CodedError(code, message, { hint, leg, data, cause });
}

/** What a session's end has to be called: its own failure before what is left, what is left before an early stop. */
export function failureOf({ name, host, state, wasReady, receipt }: EndedSession): CodedError | undefined {
  if (state.phase === "closed" && state.failure !== undefined) return withHint(state.failure);
  if (receipt?.clean === false) {
    const left = new Set([...receipt.processes, ...receipt.listeners, ...receipt.files]);
    const what = [...left].slice(0, 3).join("; ");
    return new CodedError("teardown.leftovers", `tearing down ${name}: left on ${host}: ${what}`, {
      leg: "jump",
      hint: `Look again with: farside teardown ${name}`,
    });
  }
  if (wasReady) return undefined;
  return new CodedError("canceled", `the session to ${host} was stopped before it was ready`);
}
