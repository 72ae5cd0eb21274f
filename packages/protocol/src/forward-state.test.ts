import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CodedError } from "./errors.ts";
import {
  type ForwardEvent,
  type ForwardHealth,
  forwardStateOf,
  initialHealth,
  nextHealth,
} from "./forward-state.ts";

const lost = new CodedError("hop.lost", "the connection was reset", { leg: "hop" });
const noCard = new CodedError("card.no-token", "no card", { leg: "card" });
const noAgent = new CodedError("identity.agent-unavailable", "no ssh-agent", { leg: "hop" });
const refused = new CodedError("target.unreachable", "refused", { leg: "target" });

const after = (...events: ForwardEvent[]): ForwardHealth => events.reduce(nextHealth, initialHealth);
const told = (...events: ForwardEvent[]) => forwardStateOf(after(...events), 100);
const listening = { event: "listening" } as const;

describe("the state of a forward", () => {
  test.each<[string, ForwardEvent[], object]>([
    ["opening", [], { phase: "opening" }],
    [
      "opening, at a hop that wants a signature",
      [{ event: "signature-wanted", hop: "s@h" }],
      { phase: "needs-signature", waitsFor: "a signature for s@h" },
    ],
    [
      "opening, signed",
      [{ event: "signature-wanted", hop: "h" }, { event: "signature-over" }],
      { phase: "opening" },
    ],
    ["open", [listening], { phase: "open" }],
    ["closed, where it could not be opened", [{ event: "open-failed", error: lost }], { phase: "closed" }],
    [
      "degraded, where its hop is lost",
      [listening, { event: "hop-down", error: lost, retryAt: 105 }],
      { phase: "degraded", waitsFor: "the hop", retryInMs: 5, lastError: { code: "hop.lost", leg: "hop" } },
    ],
    [
      "degraded, where an identity of the agent's own host can't be had",
      [listening, { event: "hop-down", error: noAgent }],
      { phase: "degraded", lastError: { code: "identity.agent-unavailable" } },
    ],
    [
      "degraded, where it is not dialled again",
      [listening, { event: "hop-down", error: lost }],
      { phase: "degraded", waitsFor: expect.stringContaining("when a connection needs it") },
    ],
    [
      "waiting for the card",
      [listening, { event: "hop-down", error: noCard, retryAt: 105 }],
      { phase: "needs-signature", lastError: { code: "card.no-token" } },
    ],
    [
      "open again, and says what was",
      [listening, { event: "hop-down", error: lost }, { event: "hop-up" }],
      { phase: "open", lastError: { code: "hop.lost" } },
    ],
    [
      "degraded, where the target is down",
      [listening, { event: "target-down", error: refused }],
      { phase: "degraded", waitsFor: "the target" },
    ],
    [
      "open, where the target is up",
      [listening, { event: "target-down", error: refused }, { event: "target-up" }],
      { phase: "open" },
    ],
    ["draining", [listening, { event: "close" }], { phase: "draining" }],
    [
      "draining, whatever its hop does",
      [
        listening,
        { event: "close" },
        { event: "hop-down", error: lost },
        { event: "signature-wanted", hop: "h" },
      ],
      { phase: "draining" },
    ],
    ["closed", [listening, { event: "close" }, { event: "drained" }], { phase: "closed" }],
  ])("is %s", (_what, events, state) => {
    expect(told(...events)).toMatchObject(state);
  });

  test("says how long it is until the next try, and that it is under way", () => {
    const health = after(listening, { event: "hop-down", error: lost, retryAt: 1_000 });
    expect(forwardStateOf(health, 400.5)).toMatchObject({ retryInMs: 600 });
    expect(forwardStateOf(health, 30_000)).toMatchObject({ phase: "degraded", retryInMs: 0 });
  });

  test("never comes back from draining or closed, whatever happens", () => {
    const event = fc.constantFrom<ForwardEvent>(
      ...[
        listening,
        { event: "close" } as const,
        { event: "drained" } as const,
        { event: "hop-up" } as const,
      ],
      ...[{ event: "hop-down", error: lost } as const, { event: "target-down", error: refused } as const],
      ...[{ event: "signature-wanted", hop: "h" } as const, { event: "signature-over" } as const],
      ...[{ event: "target-up" } as const, { event: "open-failed", error: lost } as const],
    );
    const order = ["opening", "open", "draining", "closed"];
    fc.assert(
      fc.property(fc.array(event), (events) => {
        let health = initialHealth;
        for (const each of events) {
          const next = nextHealth(health, each);
          expect(order.indexOf(next.stage)).toBeGreaterThanOrEqual(order.indexOf(health.stage));
          health = next;
        }
        expect(["opening", "open", "draining", "closed"]).toContain(health.stage);
      }),
    );
  });
});
