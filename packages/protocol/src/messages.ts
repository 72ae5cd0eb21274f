/**
 * Every message that orchestrator and agent exchange. This table is the single source of validation on both ends, of
 * the static types, of the handlers each side must have, and of the tables in docs/protocol.md (a test compares them).
 */
import * as v from "valibot";
import { commandInput, commandOutput, resizeCommand, runCommand, signalCommand } from "./command-messages.ts";
import { type DataOf, defineEvent, defineRequest, type ParamsOf, type ResultOf } from "./define.ts";
import { forwardState, takeoverReasons } from "./forward-state.ts";
import {
  MAX_DESCRIBED_RELAYS,
  MAX_HOP_CONNECTIONS,
  MAX_HOPS,
  MAX_LOST_RUNS,
  MAX_SIGN_DATA_BYTES,
} from "./limits.ts";
import {
  admission,
  bindAddress,
  bytes,
  count,
  hopDeclaration,
  name,
  port,
  publicKeyBlob,
  targetAddress,
  text,
} from "./message-parts.ts";
import { describeHost, probeBind, probeRoute } from "./probe-messages.ts";
import { leg, wireError } from "./wire-error.ts";

export * from "./command-messages.ts";
export * from "./forward-state.ts";
export {
  admission,
  type BindAddress,
  bindAddress,
  type HopDeclaration,
  hopDeclaration,
  type TargetAddress,
  targetAddress,
} from "./message-parts.ts";
export * from "./probe-messages.ts";
export { leg, wireError } from "./wire-error.ts";

/** Open a listener on the agent's host and join each connection to `target`. Answers once it is listening and every hop of the route is authenticated. */
export const openForward = defineRequest("forward.open", {
  asker: "orchestrator",
  since: 1,
  params: v.object({
    forwardId: name,
    bind: bindAddress,
    target: targetAddress,
    route: v.pipe(v.array(hopDeclaration), v.maxLength(MAX_HOPS)),
    admission,
    /** Relays at a time; above it the listener pauses. 0: no limit of its own. */
    maxRelays: count,
    /** Connections to the last hop that relays are spread over when there are many; each is signed for. Default 1. */
    connections: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HOP_CONNECTIONS))),
    /** Of which farside agents of this user the port is taken over; default: of none. */
    takeOver: v.optional(
      v.object({
        /** The session that asks: an older one of its name gives way. */
        session: name,
        /** Marks of agents whose orchestrator is dead. */
        lostRuns: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))), v.maxLength(MAX_LOST_RUNS)),
        /** From live sessions, too. */
        isForced: v.boolean(),
      }),
    ),
    /** Dial the target this often, without a byte, to know whether it can be had. Default: never. */
    probeMs: v.optional(v.pipe(count, v.minValue(1000))),
  }),
  result: v.object({ bound: v.pipe(v.array(bindAddress), v.minLength(1), v.maxLength(8)) }),
});

/** Close one forward: its listener at once, its relays after `graceMs`. */
export const closeForward = defineRequest("forward.close", {
  asker: "orchestrator",
  since: 1,
  params: v.object({ forwardId: name, graceMs: count }),
  result: v.object({}),
});

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

/**
 * Ask the workstation's identity for a publickey userauth signature (RFC 4252, 7). `hostKey` and `serverSignature` are
 * the server's host key and its signature over the session identifier of the first key exchange: the proof that the
 * destination guard checks. The answer is the signature value without the algorithm name.
 */
export const signWithIdentity = defineRequest("identity.sign", {
  asker: "agent",
  since: 1,
  params: v.object({
    hopId: name,
    data: bytes(MAX_SIGN_DATA_BYTES),
    hostKey: publicKeyBlob,
    serverSignature: bytes(8192),
  }),
  result: v.object({ signature: bytes(8192) }),
});

/** First message of the agent, right behind the preamble. */
export const agentHello = defineEvent("hello.agent", {
  sender: "agent",
  since: 1,
  data: v.object({
    protocol: v.object({ min: count, max: count }),
    agentVersion: name,
    /** SHA-256 of the bundle, hex. */
    digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    capabilities: v.pipe(v.array(name), v.maxLength(64)),
    pid: v.pipe(count, v.minValue(1)),
    /** Version of Node.js, without the leading v. */
    node: name,
    platform: name,
    hostname: name,
    uid: count,
    user: name,
    /** Of an agent that outlives its control channels. */
    resident: v.optional(
      v.object({
        /** The nonce that marks its processes: the same at each attachment. */
        run: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
        /** Path of its control socket. */
        control: text,
      }),
    ),
  }),
});
export type AgentHello = DataOf<typeof agentHello>;

/** The orchestrator's answer: the version both speak, and what the agent must know before anything else. */
export const orchestratorHello = defineEvent("hello.orchestrator", {
  sender: "orchestrator",
  since: 1,
  data: v.object({
    protocol: count,
    session: name,
    leaseMs: v.pipe(count, v.minValue(1000)),
    /** End the session this long after it began. 0: never. */
    ttlMs: count,
    /** End it after this long without an open relay. 0: never. */
    idleMs: count,
    logLevel: v.picklist(["error", "warn", "info", "debug"]),
    capabilities: v.pipe(v.array(name), v.maxLength(64)),
  }),
});
export type OrchestratorHello = DataOf<typeof orchestratorHello>;

/** A hop of a route is authenticated. */
export const hopConnected = defineEvent("hop.connected", {
  sender: "agent",
  since: 1,
  data: v.object({ hopId: name, user: name, host: name, port, hostKey: publicKeyBlob }),
});

/** An established hop is gone. It is dialled again with pauses that grow, and when a relay needs it. */
export const hopLost = defineEvent("hop.lost", {
  sender: "agent",
  since: 1,
  data: v.object({ hopId: name, error: wireError }),
});

/** The state of a forward has changed. */
export const forwardChanged = defineEvent("forward.state", {
  sender: "agent",
  since: 1,
  data: v.object({ forwardId: name, state: forwardState }),
});

/** A port or a socket that somebody held was taken over. */
export const forwardTakenOver = defineEvent("forward.taken-over", {
  sender: "agent",
  since: 1,
  data: v.object({
    forwardId: name,
    /** `127.0.0.1:4444`, or a socket's path. */
    address: text,
    /** Whose it was; a socket that nobody listened on any more was nobody's. */
    from: v.optional(v.object({ session: name, pid: count })),
    reason: v.picklist(takeoverReasons),
  }),
});

const relayId = count;
/** Address of a client, `127.0.0.1:54321`; `unix` for a unix socket. */
const peerAddress = name;

/** A connection was accepted and admitted. `uid` is -1 where it isn't known (any user allowed, unix socket). */
export const relayOpened = defineEvent("relay.open", {
  sender: "agent",
  since: 1,
  data: v.object({ forwardId: name, relayId, peer: peerAddress, uid: v.pipe(v.number(), v.integer()) }),
});

/**
 * A relay ended. `reason`: `end` (both sides finished), `reset`, `error` (with `error`), `closed` (forward closed).
 * `isWhole`: it was over before anybody was told that it opened; no `relay.open` has come or will.
 */
export const relayClosed = defineEvent("relay.close", {
  sender: "agent",
  since: 1,
  data: v.object({
    forwardId: name,
    relayId,
    peer: peerAddress,
    uid: v.pipe(v.number(), v.integer()),
    bytesIn: count,
    bytesOut: count,
    durationMs: count,
    reason: v.picklist(["end", "reset", "error", "closed"]),
    error: v.optional(wireError),
    isWhole: v.optional(v.boolean()),
  }),
});

/** A connection was not admitted: another user's, or one whose owner can't be known. Not a byte of it went on. */
export const relayRefused = defineEvent("relay.refused", {
  sender: "agent",
  since: 1,
  data: v.object({
    forwardId: name,
    peer: peerAddress,
    uid: v.pipe(v.number(), v.integer()),
    reason: v.picklist(["other-user", "unknown-user"]),
    hint: text,
  }),
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

/** All requests, by who must answer them. */
export const requestsToAgent = [
  openForward,
  closeForward,
  renewLease,
  describeAgent,
  detachAgent,
  stopAgent,
  runCommand,
  commandInput,
  signalCommand,
  probeBind,
  probeRoute,
  describeHost,
] as const;
export const requestsToOrchestrator = [signWithIdentity, commandOutput] as const;
/** All events, by who must take them. */
export const eventsToOrchestrator = [
  agentHello,
  hopConnected,
  hopLost,
  forwardChanged,
  forwardTakenOver,
  relayOpened,
  relayClosed,
  relayRefused,
  agentWarning,
  eventsDropped,
  agentEnding,
] as const;
export const eventsToAgent = [orchestratorHello, resizeCommand] as const;

export type OpenForwardParams = ParamsOf<typeof openForward>;
export type SignParams = ParamsOf<typeof signWithIdentity>;
