/**
 * The events of a session, as `--json` prints them (one object a line) and as the library's `Session` emits them. A
 * JSON Schema is published from these. Every event has `event` and `at` (ISO 8601, UTC).
 */
import * as v from "valibot";
import { forwardPhases, takeoverReasons } from "./forward-state.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();
const leg = v.picklist(["card", "jump", "bind", "hop", "target"]);

const event = <const Name extends string, const Entries extends v.ObjectEntries>(
  name: Name,
  entries: Entries,
) => v.object({ event: v.literal(name), at: v.pipe(v.string(), v.isoTimestamp()), ...entries });

export const receiptFields = {
  session: text,
  /** `user@host` of the jump host. */
  host: text,
  /** What was found on the host after the end, one line an item; empty where nothing is left. */
  processes: v.array(text),
  listeners: v.array(text),
  files: v.array(text),
  /** Nothing is left, and the look at the host was complete. */
  clean: v.boolean(),
};
export const receipt = v.object(receiptFields);
export type Receipt = v.InferOutput<typeof receipt>;

const forward = {
  /** `1`, `2` … in the order of the -L options. */
  id: text,
  /** Addresses that are listened on: `127.0.0.1:4444`, `[::1]:4444`, or a socket's path. */
  bind: v.array(text),
  /** `localhost:4444`, or a socket's path. */
  target: text,
  /** `user@host:port` of each hop from the jump host on. */
  via: v.array(text),
};

export const sessionEvents = {
  "card.login": event("card.login", { token: text, key: text, pinEntries: count }),
  /** Where the card is; `waiting` signatures wait for it to be put back. */
  "card.state": event("card.state", {
    token: text,
    state: v.picklist(["present", "removed", "waiting", "pin-needed"]),
    waiting: v.optional(count),
  }),
  "hop.connected": event("hop.connected", {
    leg: v.picklist(["jump", "hop"]),
    user: text,
    host: text,
    port: count,
    /** SHA256:… */
    hostKey: text,
  }),
  "agent.ready": event("agent.ready", {
    host: text,
    pid: count,
    node: text,
    agentVersion: text,
    digest: text,
    /** How the agent got there. */
    deploy: v.object({ method: v.picklist(["memory"]), bytes: count, durationMs: count }),
  }),
  /** Once a workstation and version: from then on it has it. */
  "runtime.fetch": event("runtime.fetch", { runtime: text, from: v.picklist(["npm"]), bytes: count }),
  "runtime.upload": event("runtime.upload", {
    host: text,
    /** What is sent: `Node.js 22.23.3`, or the path of `--runtime-file`. */
    runtime: text,
    /** SHA-256 of it, hex. */
    digest: text,
    /** Bytes that are sent, and the size that it has there. */
    bytes: count,
    size: count,
    /** Where it is put. */
    folder: text,
    /** It stays there after the session. */
    kept: v.boolean(),
  }),
  /** With `--engine openssh`: there is no agent, but the jump host's own ssh. */
  "engine.ready": event("engine.ready", {
    host: text,
    engine: v.picklist(["openssh"]),
    /** As its `ssh -V` prints it. */
    version: text,
    durationMs: count,
  }),
  /** With `--metrics-port`: `/metrics` and `/healthz` are answered there. */
  "metrics.open": event("metrics.open", {
    /** `127.0.0.1:9100` and `[::1]:9100`, on the jump host. */
    bind: v.array(text),
  }),
  "forward.open": event("forward.open", forward),
  ready: event("ready", { session: text, forwards: v.array(v.object(forward)) }),
  "forward.state": event("forward.state", {
    forward: text,
    phase: v.picklist(forwardPhases),
    /** In plain words. */
    waitsFor: v.optional(text),
    /** In how many ms the next try begins. */
    retryInMs: v.optional(count),
    /** The last thing that went wrong; it stays when all is well again. */
    code: v.optional(text),
    leg: v.optional(leg),
    message: v.optional(text),
  }),
  "forward.taken-over": event("forward.taken-over", {
    /** Or `metrics`: the port for metrics. */
    forward: text,
    /** `127.0.0.1:4444`, or a socket's path. */
    address: text,
    /** Whose it was: the session, and the agent's pid. Missing for a socket that nobody listened on any more. */
    session: v.optional(text),
    pid: v.optional(count),
    reason: v.picklist(takeoverReasons),
  }),
  "relay.open": event("relay.open", { forward: text, relay: count, peer: text, uid: v.number() }),
  "relay.close": event("relay.close", {
    forward: text,
    relay: count,
    peer: text,
    uid: v.number(),
    bytesIn: count,
    bytesOut: count,
    durationMs: count,
    reason: v.picklist(["end", "reset", "error", "closed"]),
    code: v.optional(text),
    leg: v.optional(leg),
    message: v.optional(text),
  }),
  "relay.refused": event("relay.refused", { forward: text, peer: text, uid: v.number(), hint: text }),
  sign: event("sign", {
    /** `user@host:port` the signature is for. */
    hop: text,
    algorithm: text,
    decision: v.picklist(["signed", "refused"]),
    reason: text,
  }),
  reattached: event("reattached", { session: text }),
  /** The session's agent goes on without it, until `expiresAt` at the latest. */
  detached: event("detached", { session: text, host: text, expiresAt: v.pipe(v.string(), v.isoTimestamp()) }),
  dropped: event("dropped", { count }),
  warning: event("warning", { message: text, hint: v.optional(text), leg: v.optional(leg) }),
  error: event("error", { code: text, message: text, hint: v.optional(text), leg: v.optional(leg) }),
  receipt: event("receipt", receiptFields),
} as const;

export type SessionEventName = keyof typeof sessionEvents;
export type SessionEvent = {
  [Name in SessionEventName]: v.InferOutput<(typeof sessionEvents)[Name]>;
}[SessionEventName];
export type SessionEventOf<Name extends SessionEventName> = v.InferOutput<(typeof sessionEvents)[Name]>;
