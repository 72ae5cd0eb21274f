import { createHash } from "node:crypto";
import {
  CodedError,
  type HopIdentity,
  type InstalledConfig,
  type InstalledForward,
  type InstalledHop,
  type TargetAddress,
} from "@farside/protocol";
import { fingerprint, type HostConfig, isFingerprint, parsePublicKeyLine } from "@farside/ssh";
import { DEFAULTS } from "../forward-options.ts";
import { parseTarget } from "../forward-spec.ts";
import { type HopSpec, parseHopList, parseHopSpec } from "../hop-spec.ts";
import { resolveViaRoute, type ViaRouteOptions } from "../via-route.ts";
import { bindOf } from "./bind-of.ts";
import type { ForwardContent, ForwardsFileContent } from "./forwards-file.ts";

export interface CompileOptions extends Pick<ViaRouteOptions, "hostKeys" | "resolve"> {
  /** ssh_config of the build server: a hop's ProxyJump may name it. */
  readonly jump: HostConfig;
}

export const DEFAULT_AGENT_NAME = "agent";
const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/**
 * What the build server gets of a forwards.yaml: names resolved by ssh_config, host keys from known_hosts or as the file has
 * them. Rejects with `config.invalid`, and `host-key.unknown` for a hop of which this workstation knows no key.
 */
export async function compileForwards(
  content: ForwardsFileContent,
  options: CompileOptions,
): Promise<InstalledConfig> {
  const forwards: InstalledForward[] = [];
  for (const forward of content.forwards) {
    forwards.push(await compileForward({ ...content.defaults, ...forward }, options));
  }
  return {
    version: 1,
    name: content.name ?? DEFAULT_AGENT_NAME,
    forwards,
    ...(content["metrics-port"] !== undefined && { metricsPort: content["metrics-port"] }),
  };
}

/** The same for the same hop behind the same hops with the same identity, on every workstation. */
export function hopIdOf(
  route: readonly Pick<InstalledHop, "user" | "host" | "port">[],
  identity: HopIdentity,
): string {
  const text = JSON.stringify([route.map(({ user, host, port }) => [user, host, port]), identity]);
  return `hop-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

async function compileForward(forward: ForwardContent, options: CompileOptions): Promise<InstalledForward> {
  const identity = identityOf(forward);
  const route = await compileRoute(forward, identity, options);
  return {
    id: forward.id,
    bind: bindOf(forward.listen),
    target: targetOf(forward.target),
    route,
    identity,
    admission: {
      allowUsers: forward["allow-users"] ?? [],
      allowAnyUser: forward["allow-any-user"] ?? false,
    },
    maxRelays: forward["max-relays"] ?? DEFAULTS.maxRelays,
    // Nobody may be there to sign for a further one.
    connections: forward.connections ?? (identity.kind === "attached" ? 1 : DEFAULTS.connections),
    probeMs: forward.probe === undefined ? 0 : durationMs(forward.probe),
  };
}

function identityOf({ identity = "attached" }: ForwardContent): HopIdentity {
  if (identity === "attached") return { kind: "attached" };
  return "key-file" in identity
    ? { kind: "key-file", path: identity["key-file"] }
    : { kind: "ssh-agent", path: identity["ssh-agent"] };
}

interface WrittenHop {
  readonly spec: HopSpec;
  readonly blobs: readonly Uint8Array[];
  readonly fingerprints: readonly string[];
}

async function compileRoute(
  { id, via = [] }: ForwardContent,
  identity: HopIdentity,
  { jump, hostKeys, resolve }: CompileOptions,
): Promise<InstalledHop[]> {
  const written = typeof via === "string" ? parseHopList(via, "via").map(bare) : via.map(writtenHop);
  const pinned = new Map(
    written
      .filter(({ fingerprints }) => fingerprints.length > 0)
      .map((hop) => [hop.spec.host, hop.fingerprints]),
  );
  const found = await resolveViaRoute(
    { via: written.map(({ spec }) => spec), pinned, hostKeys, resolve },
    jump,
  );
  const route: InstalledHop[] = [];
  for (const [index, { hop, pinned: pins }] of found.entries()) {
    const { user, host, port } = hop;
    const given = written[index]?.blobs ?? [];
    const blobs = new Map([...hop.hostKeys, ...given].map((blob) => [fingerprint(blob), blob]));
    const fingerprints = pins.filter((pin) => !blobs.has(pin));
    if (blobs.size + fingerprints.length === 0) throw unknownKey(id, host, port);
    const places = [...route, { user, host, port }];
    route.push({
      ...{ hopId: hopIdOf(places, identity), user, host, port, fingerprints },
      hostKeys: [...blobs.values()].map((blob) => Buffer.from(blob).toString("base64")),
    });
  }
  return route;
}

function bare(spec: HopSpec): WrittenHop {
  return { spec, blobs: [], fingerprints: [] };
}

function writtenHop(hop: Exclude<ForwardContent["via"], string | undefined>[number]): WrittenHop {
  if (typeof hop === "string") return bare(parseHopSpec(hop, "via"));
  const keys = hop["host-keys"] ?? [];
  const blobs = keys.filter((key) => !isFingerprint(key)).map((line) => parsePublicKeyLine(line).blob);
  const spec = { user: hop.user, host: hop.host, port: hop.port };
  // A key that is given pins its host: what known_hosts has besides does not count.
  return { spec, blobs, fingerprints: [...keys.filter(isFingerprint), ...blobs.map(fingerprint)] };
}

function targetOf(target: ForwardContent["target"]): TargetAddress {
  if (typeof target === "string") return parseTarget(target);
  return "socket" in target
    ? { kind: "unix", path: target.socket }
    : { kind: "tcp", host: target.host, port: target.port };
}

function durationMs(text: string): number {
  return Number(text.slice(0, -1)) * UNITS_MS[text.slice(-1) as keyof typeof UNITS_MS];
}

function unknownKey(id: string, host: string, port: number): CodedError {
  return new CodedError(
    "host-key.unknown",
    `compiling the forward ${id}: there is no host key of ${host} port ${port} in known_hosts`,
    {
      leg: "hop",
      hint: "Log in to it once with ssh, or give its key in forwards.yaml: host-keys: [SHA256:…].",
      data: { host, port },
    },
  );
}
