/** The parts that messages share. */
import * as v from "valibot";
import { MAX_LOST_RUNS, MAX_STRING_LENGTH } from "./limits.ts";

export const text = v.pipe(v.string(), v.maxLength(MAX_STRING_LENGTH));
export const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));
/** 0 takes a free one. */
export const bindPort = v.union([v.literal(0), port]);
export const bytes = (max: number) =>
  v.pipe(
    v.instance(Uint8Array as new () => Uint8Array),
    v.check((value) => value.length <= max, `more than ${max} bytes`),
  );
export const publicKeyBlob = bytes(8192);
/** `SHA256:…` of keys, as `ssh-keygen -l` prints them. */
export const fingerprints = v.pipe(
  v.array(v.pipe(v.string(), v.regex(/^SHA256:[A-Za-z0-9+/]{43}$/))),
  v.maxLength(64),
);

/** Where the agent accepts. For `loopback` it binds 127.0.0.1 and, where the host has IPv6, ::1: both or an error. Port 0 takes a free one. */
export const bindAddress = v.variant("kind", [
  v.object({ kind: v.literal("loopback"), port: bindPort }),
  v.object({ kind: v.literal("tcp"), address: name, port: bindPort }),
  v.object({ kind: v.literal("unix"), path: text }),
]);
export type BindAddress = v.InferOutput<typeof bindAddress>;

/** Where a relay's bytes go, dialled from the last hop of the route (from the jump host itself where there is none). */
export const targetAddress = v.variant("kind", [
  v.object({ kind: v.literal("tcp"), host: name, port }),
  v.object({ kind: v.literal("unix"), path: text }),
]);
export type TargetAddress = v.InferOutput<typeof targetAddress>;

/** One SSH connection of a route, made by the agent. Only `hostKeys` are accepted; only `publicKeys` are offered. */
export const hopDeclaration = v.object({
  /** Names this hop in `identity.sign` and in events; the orchestrator chooses it. */
  hopId: name,
  user: name,
  /** Dialled from the hop before it. */
  host: name,
  port,
  /** Public key blobs (RFC 4253, 6.6) that this host may show. None: the key is reported in the failure's `data.hostKey` (base64), and refused. */
  hostKeys: v.pipe(v.array(publicKeyBlob), v.maxLength(64)),
  /** Of keys that the host may have: of several, one of these is reported. None of them is accepted for that. */
  fingerprints: v.optional(fingerprints),
  /** Blobs of the identity's keys, offered in this order. */
  publicKeys: v.pipe(v.array(publicKeyBlob), v.minLength(1), v.maxLength(16)),
  connectTimeoutMs: v.optional(v.pipe(count, v.minValue(1))),
});
export type HopDeclaration = v.InferOutput<typeof hopDeclaration>;

/** Who may connect to a loopback TCP listener besides root and the login's own user. */
export const admission = v.object({
  /** User names, resolved on the agent's host. */
  allowUsers: v.pipe(v.array(name), v.maxLength(64)),
  allowAnyUser: v.boolean(),
});

/** Of which farside agents of this user a port is taken over. */
export const takeOver = v.object({
  /** The session that asks: an older one of its name gives way. */
  session: name,
  /** Marks of agents whose orchestrator is dead. */
  lostRuns: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))), v.maxLength(MAX_LOST_RUNS)),
  /** From live sessions, too. */
  isForced: v.boolean(),
});

/** What a listener is bound to, in full. */
export const boundAddresses = v.pipe(v.array(bindAddress), v.minLength(1), v.maxLength(8));
