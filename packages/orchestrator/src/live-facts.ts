import { type AgentDescription, forwardPhases, harmless, leg } from "@farside/protocol";
import * as v from "valibot";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const relay = v.object({
  forward: v.string(),
  relay: count,
  peer: v.string(),
  uid: v.pipe(v.number(), v.integer()),
  bytesIn: count,
  bytesOut: count,
  ageMs: count,
});

/** What of the relays is kept: all of a thousand are not read by anybody. */
const MAX_RELAYS = 32;
const SHOWN_ADDRESS = 100;

/** How a forward is, as events, the session's record and `farside status` have it. */
export const forwardFacts = {
  phase: v.picklist(forwardPhases),
  /** What it waits for, in plain words. */
  waitsFor: v.optional(v.string()),
  /** In how many ms the next try begins. */
  retryInMs: v.optional(count),
  /** The last thing that went wrong; it stays when all is well again. */
  code: v.optional(v.string()),
  leg: v.optional(leg),
  message: v.optional(v.string()),
};

/** What a session's agent said of itself when it was last asked. */
export const liveFacts = v.object({
  at: v.string(),
  forwards: v.array(
    v.object({
      id: v.string(),
      ...forwardFacts,
      openRelays: count,
      totalRelays: count,
      refusedRelays: count,
      bytesIn: count,
      bytesOut: count,
    }),
  ),
  /** The newest open relays. */
  relays: v.array(relay),
});
export type LiveFacts = v.InferOutput<typeof liveFacts>;

type WireState = NonNullable<AgentDescription["forwards"][number]["state"]>;

/** A state as the agent tells it, made harmless. */
export function forwardFactsOf({ phase, waitsFor, retryInMs, lastError }: WireState) {
  return {
    phase,
    ...(waitsFor !== undefined && { waitsFor: harmless(waitsFor) }),
    ...(retryInMs !== undefined && { retryInMs }),
    ...(lastError && { code: harmless(lastError.code, 64), message: harmless(lastError.message) }),
    ...(lastError?.leg && { leg: lastError.leg }),
  };
}

/** What is kept of `description`, which is the agent's word: only of forwards that were asked for. */
export function liveFactsOf(
  description: AgentDescription,
  forwardIds: ReadonlySet<string>,
  at: Date,
): LiveFacts {
  const forwards = description.forwards.filter(({ forwardId }) => forwardIds.has(forwardId));
  const relays = (description.relays ?? []).filter(({ forwardId }) => forwardIds.has(forwardId));
  return {
    at: at.toISOString(),
    forwards: forwards.map(({ forwardId: id, state = { phase: "open" as const }, ...counters }) => ({
      id,
      ...forwardFactsOf(state),
      ...counters,
    })),
    relays: relays.slice(0, MAX_RELAYS).map(({ forwardId: forward, relayId, peer, ...rest }) => ({
      forward,
      relay: relayId,
      peer: harmless(peer, SHOWN_ADDRESS),
      ...rest,
    })),
  };
}
