import type { CodedError, Receipt } from "@farside/protocol";

/** Where a session is. Each phase has only what is true in it. */
export type SessionState =
  /** The hops on the way to the jump host log in. Nothing is on the jump host. */
  | { readonly phase: "connecting" }
  /** The agent is being started: from now on there may be something to remove. */
  | { readonly phase: "deploying" }
  /** The agent answers; its listeners and hops are being opened. */
  | { readonly phase: "opening"; readonly opened: number; readonly wanted: number }
  /** Every forward is open. */
  | { readonly phase: "ready" }
  /** The way to the agent is lost, the agent goes on for its lease; it is looked for. */
  | { readonly phase: "reattaching" }
  /** Listeners are closed; relays end within the grace. `failure`: why, unless the operator wanted it. */
  | { readonly phase: "draining"; readonly graceMs: number; readonly failure?: CodedError }
  /** The agent has ended; the host is looked at. */
  | { readonly phase: "verifying"; readonly failure?: CodedError }
  /** The agent was left to itself, with all that is open. */
  | { readonly phase: "detached" }
  /** Nothing happens any more. Without a receipt: nothing was ever started on the jump host. */
  | { readonly phase: "closed"; readonly failure?: CodedError; readonly receipt?: Receipt };

export type SessionPhase = SessionState["phase"];

const RUNNING: ReadonlySet<SessionPhase> = new Set([
  ...(["connecting", "deploying", "opening", "ready", "reattaching"] as const),
]);

export type SessionTransition =
  | { readonly type: "connected" }
  | { readonly type: "agent-answered"; readonly forwards: number }
  | { readonly type: "forward-opened" }
  | { readonly type: "link-lost" }
  | { readonly type: "reattached" }
  | { readonly type: "detached" }
  /** The operator wants the end. */
  | { readonly type: "stop"; readonly graceMs: number }
  /** The operator wants it now. */
  | { readonly type: "escalate" }
  | { readonly type: "failed"; readonly failure: CodedError }
  /** The agent's channel is closed, or there never was an agent to talk to. */
  | { readonly type: "agent-ended" }
  | { readonly type: "looked"; readonly receipt?: Receipt };

export const initialState: SessionState = { phase: "connecting" };

/**
 * The state after `event`. Pure and total: what can't happen in a phase, or comes too late, leaves the state as it is. The first
 * failure is the one that is kept.
 */
export function next(state: SessionState, event: SessionTransition): SessionState {
  switch (event.type) {
    case "connected":
      return state.phase === "connecting" ? { phase: "deploying" } : state;
    case "agent-answered":
      if (state.phase !== "deploying") return state;
      return event.forwards === 0
        ? { phase: "ready" }
        : { phase: "opening", opened: 0, wanted: event.forwards };
    case "forward-opened":
      if (state.phase !== "opening") return state;
      return state.opened + 1 < state.wanted ? { ...state, opened: state.opened + 1 } : { phase: "ready" };
    case "link-lost":
      return state.phase === "ready" ? { phase: "reattaching" } : state;
    case "reattached":
      return state.phase === "reattaching" ? { phase: "ready" } : state;
    case "detached":
      return state.phase === "ready" ? { phase: "detached" } : state;
    case "stop":
      return isRunning(state) ? { phase: "draining", graceMs: event.graceMs } : state;
    case "escalate":
      if (state.phase === "draining") return { ...state, graceMs: 0 };
      return isRunning(state) ? { phase: "draining", graceMs: 0 } : state;
    case "failed":
      if (isRunning(state)) return { phase: "draining", graceMs: 0, failure: event.failure };
      return state.phase === "draining" ? { ...withFailure(state, event.failure), graceMs: 0 } : state;
    case "agent-ended":
      if (state.phase === "verifying" || state.phase === "closed" || state.phase === "detached") return state;
      return { phase: "verifying", ...failureOf(state) };
    case "looked":
      if (state.phase !== "verifying") return state;
      return { phase: "closed", ...failureOf(state), ...(event.receipt && { receipt: event.receipt }) };
    default:
      return assertNever(event);
  }
}

/** Whether the session is still on its way to `ready`, or there. */
export function isRunning({ phase }: SessionState): boolean {
  return RUNNING.has(phase);
}

function withFailure<S extends { readonly failure?: CodedError }>(state: S, failure: CodedError): S {
  return state.failure === undefined ? { ...state, failure } : state;
}

function failureOf(state: SessionState): { failure?: CodedError } {
  return "failure" in state && state.failure !== undefined ? { failure: state.failure } : {};
}

function assertNever(event: never): never {
  throw new Error(`no such transition: ${JSON.stringify(event)}`);
}
