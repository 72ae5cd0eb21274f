/** What is said about an agent as a whole: its lease, what it does, its end. */
import * as v from "valibot";
import { type DataOf, defineEvent, defineRequest, type ResultOf } from "./define.ts";
import { forwardState } from "./forward-state.ts";
import { MAX_DESCRIBED_RELAYS } from "./limits.ts";
import { bindPort, boundAddresses, count, name, takeOver, text } from "./message-parts.ts";
import { leg, wireError } from "./wire-error.ts";

/** Renew the agent's lease. Sent every third of the lease; the answer is the heartbeat. */
export const renewLease = defineRequest("lease.renew", {
  asker: "orchestrator",
  since: 1,
  params: v.object({}),
  result: v.object({ openRelays: count }),
});

const forwardCounters = v.object({
  forwardId: name,
  openRelays: count,
  totalRelays: count,
  refusedRelays: count,
  /** Client to target. */
  bytesIn: count,
  /** Target to client. */
  bytesOut: count,
  state: v.optional(forwardState),
});

const relayCounters = v.object({
  forwardId: name,
  relayId: count,
  peer: name,
  uid: v.pipe(v.number(), v.integer()),
  bytesIn: count,
  bytesOut: count,
  ageMs: count,
});

/** What the agent is and does now. */
export const describeAgent = defineRequest("agent.describe", {
  asker: "orchestrator",
  since: 1,
  params: v.object({}),
  result: v.object({
    forwards: v.array(forwardCounters),
    rssBytes: count,
    uptimeMs: count,
    eventsDropped: count,
    /** Open relays, the newest, as many as `MAX_DESCRIBED_RELAYS`. */
    relays: v.optional(v.pipe(v.array(relayCounters), v.maxLength(MAX_DESCRIBED_RELAYS))),
  }),
});
export type AgentDescription = ResultOf<typeof describeAgent>;

/** What `forward.taken-over` calls the port for metrics, which is no forward. */
export const METRICS_PLACE = "metrics";

/**
 * Answer `GET /metrics` and `GET /healthz` on a loopback port, too, for the agent's own user and root. Once, and a resident
 * agent's only.
 */
export const openMetrics = defineRequest("metrics.open", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    port: bindPort,
    /** Default: the port is taken over from nobody. */
    takeOver: v.optional(takeOver),
  }),
  result: v.object({ bound: boundAddresses }),
});

/** Live on without an orchestrator, until the ttl: the lease needs no renewal any more. A resident agent's only. */
export const detachAgent = defineRequest("agent.detach", {
  asker: "orchestrator",
  since: 1,
  params: v.object({}),
  result: v.object({}),
});

/** Stop: listeners close at once, relays get `graceMs`, then the agent answers and exits by itself. */
export const stopAgent = defineRequest("agent.stop", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ graceMs: count }),
  result: v.object({ relaysCut: count }),
});

/** Something the operator should know. */
export const agentWarning = defineEvent("warning", {
  sender: "agent",
  since: 1,
  data: v.object({ message: text, hint: v.optional(text), leg: v.optional(leg) }),
});

/** So many events did not fit the agent's queue since the last such event. */
export const eventsDropped = defineEvent("dropped", {
  sender: "agent",
  since: 1,
  data: v.object({ count }),
});

/** The agent ends by itself and says why, as its last event. */
export const agentEnding = defineEvent("agent.ending", {
  sender: "agent",
  since: 1,
  data: v.object({
    reason: v.picklist(["stopped", "stdin-ended", "lease-expired", "ttl", "idle", "signal", "fatal"]),
    error: v.optional(wireError),
  }),
});
export type AgentEndReason = DataOf<typeof agentEnding>["reason"];
