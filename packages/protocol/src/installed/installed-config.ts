import * as v from "valibot";
import { MAX_FORWARDS, MAX_HOP_CONNECTIONS, MAX_HOPS } from "../limits.ts";
import {
  admission,
  bindAddress,
  bindPort,
  count,
  fingerprints,
  name,
  port,
  targetAddress,
} from "../message-parts.ts";

/** On the build server, where `~/` is the login's home. */
const path = v.pipe(v.string(), v.maxLength(4096), v.regex(/^(?:~\/|\/)[^\p{Cc}]*$/u));

/** What ssh's IdentityAgent may be: a path, `SSH_AUTH_SOCK`, or `$NAME` of another variable of the agent's environment. */
const agentSocket = v.union([
  path,
  v.literal("SSH_AUTH_SOCK"),
  v.pipe(v.string(), v.maxLength(256), v.regex(/^\$[A-Za-z_][A-Za-z0-9_]*$/)),
]);

/** What names an installed agent on its host: it becomes part of file names and of a unit's name. */
export const agentName = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,31}$/));

/**
 * What logs in to the hops of a forward. `attached`: whoever has run `farside agent attach`, their card or key; the other
 * two live on the build server and need nobody.
 */
export const hopIdentity = v.variant("kind", [
  v.object({ kind: v.literal("attached") }),
  v.object({ kind: v.literal("key-file"), path }),
  v.object({ kind: v.literal("ssh-agent"), path: agentSocket }),
]);
export type HopIdentity = v.InferOutput<typeof hopIdentity>;

/** A hop as an installed agent knows it. What may be signed for is never taken from here: the workstation has its own. */
export const installedHop = v.object({
  /** The same for the same hop behind the same hops with the same identity; see `hopIdOf`. */
  hopId: name,
  user: name,
  host: name,
  port,
  /** Host keys that known_hosts had, as base64 of their blobs. */
  hostKeys: v.pipe(
    v.array(v.pipe(v.string(), v.maxLength(12_000), v.regex(/^[A-Za-z0-9+/]+=*$/))),
    v.maxLength(64),
  ),
  /** `SHA256:…` of keys that were given by fingerprint. */
  fingerprints,
});
export type InstalledHop = v.InferOutput<typeof installedHop>;

/** A forward of an installed agent. */
export const installedForward = v.object({
  id: name,
  bind: bindAddress,
  target: targetAddress,
  route: v.pipe(v.array(installedHop), v.maxLength(MAX_HOPS)),
  identity: hopIdentity,
  admission,
  /** 0: no limit of its own. */
  maxRelays: count,
  connections: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HOP_CONNECTIONS)),
  /** The target is dialled this often to see whether it answers. 0: never. */
  probeMs: count,
});
export type InstalledForward = v.InferOutput<typeof installedForward>;

/** What an installed agent does: forwards.yaml, with names resolved and host keys looked up on the workstation. */
export const installedConfig = v.object({
  version: v.literal(1),
  name: agentName,
  forwards: v.pipe(
    v.array(installedForward),
    v.minLength(1),
    v.maxLength(MAX_FORWARDS),
    v.check((forwards) => new Set(forwards.map(({ id }) => id)).size === forwards.length, "an id twice"),
  ),
  /** A loopback port for `GET /metrics` and `/healthz`; 0 takes a free one. Undefined: none. */
  metricsPort: v.optional(bindPort),
});
export type InstalledConfig = v.InferOutput<typeof installedConfig>;
