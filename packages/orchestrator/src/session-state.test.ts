import { CodedError, type Receipt } from "@farside/protocol";
import { describe, expect, it } from "vitest";
import {
  initialState,
  next,
  type SessionPhase,
  type SessionState,
  type SessionTransition,
} from "./session-state.ts";

const failure = new CodedError("agent.gone", "x");
const later = new CodedError("hop.lost", "y");
const receipt: Receipt = { session: "s", host: "h", processes: [], listeners: [], files: [], clean: true };

const states: Record<SessionPhase, SessionState> = {
  connecting: initialState,
  deploying: { phase: "deploying" },
  opening: { phase: "opening", opened: 0, wanted: 2 },
  ready: { phase: "ready" },
  reattaching: { phase: "reattaching" },
  detached: { phase: "detached" },
  draining: { phase: "draining", graceMs: 10_000 },
  verifying: { phase: "verifying" },
  closed: { phase: "closed", receipt },
};
const events: Record<SessionTransition["type"], SessionTransition> = {
  connected: { type: "connected" },
  "agent-answered": { type: "agent-answered", forwards: 2 },
  "forward-opened": { type: "forward-opened" },
  "link-lost": { type: "link-lost" },
  reattached: { type: "reattached" },
  detached: { type: "detached" },
  stop: { type: "stop", graceMs: 5 },
  escalate: { type: "escalate" },
  failed: { type: "failed", failure },
  "agent-ended": { type: "agent-ended" },
  looked: { type: "looked", receipt },
};

const draining = { phase: "draining", graceMs: 5 };
const now = { phase: "draining", graceMs: 0 };
const failing = { ...now, failure };
const verifying = { phase: "verifying" };

/** What leaves a phase; every other pair of the table stays where it is. */
const changes: Record<SessionPhase, Partial<Record<SessionTransition["type"], object>>> = {
  connecting: {
    connected: { phase: "deploying" },
    stop: draining,
    escalate: now,
    failed: failing,
    "agent-ended": verifying,
  },
  deploying: {
    "agent-answered": { phase: "opening", opened: 0, wanted: 2 },
    stop: draining,
    escalate: now,
    failed: failing,
    "agent-ended": verifying,
  },
  opening: {
    "forward-opened": { phase: "opening", opened: 1, wanted: 2 },
    stop: draining,
    escalate: now,
    failed: failing,
    "agent-ended": verifying,
  },
  ready: {
    "link-lost": { phase: "reattaching" },
    detached: { phase: "detached" },
    stop: draining,
    escalate: now,
    failed: failing,
    "agent-ended": verifying,
  },
  reattaching: {
    reattached: { phase: "ready" },
    stop: draining,
    escalate: now,
    failed: failing,
    "agent-ended": verifying,
  },
  detached: {},
  draining: { escalate: now, failed: failing, "agent-ended": verifying },
  verifying: { looked: { phase: "closed", receipt } },
  closed: {},
};

const table = Object.entries(states).flatMap(([phase, state]) =>
  Object.entries(events).map(([type, event]) => {
    const expected = changes[phase as SessionPhase][type as SessionTransition["type"]] ?? state;
    return [phase, type, state, event, expected] as const;
  }),
);

describe("a session's states", () => {
  it.each(table)("%s, %s", (_phase, _type, state, event, expected) => {
    expect(next(state, event)).toEqual(expected);
  });

  it("keeps the first failure to the end", () => {
    const end = [
      { type: "failed", failure } as const,
      { type: "failed", failure: later } as const,
      { type: "agent-ended" } as const,
      { type: "looked", receipt } as const,
    ].reduce<SessionState>(next, { phase: "ready" });
    expect(end).toEqual({ phase: "closed", failure, receipt });
  });

  it("is ready when the last forward is open, at once without any", () => {
    const opened = next(next(states.opening, events["forward-opened"]), events["forward-opened"]);
    expect(opened).toEqual({ phase: "ready" });
    expect(next(states.deploying, { type: "agent-answered", forwards: 0 })).toEqual({ phase: "ready" });
  });

  it("closes without a receipt where nothing was started", () => {
    expect(next({ phase: "verifying", failure }, { type: "looked" })).toEqual({ phase: "closed", failure });
  });
});
