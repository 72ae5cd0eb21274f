import { CodedError } from "@farside/protocol";
import type { KnownHosts } from "@farside/ssh";
import { fingerprint, type HostAuthorities, type HostConfig, type PublicKey } from "@farside/ssh";
import type { DeclaredHop } from "./destination-guard.ts";
import type { HopSpec } from "./hop-spec.ts";
import { checkOf, type HostKeyCheck, type HostKeyOptions, loadKnownHosts, placeOf } from "./host-keys.ts";
import { proxyJump, type ResolveJumpOptions, resolveSpec } from "./jump-route.ts";

/** Keys that one hop is offered: as many as the protocol takes. */
const MAX_OFFERED_KEYS = 16;

/** A hop that the jump host will dial, with what this workstation knows about it. */
export interface ViaHop {
  readonly hop: DeclaredHop;
  readonly config: HostConfig;
  readonly knownHosts: KnownHosts;
  readonly check: HostKeyCheck;
  /** Fingerprints that the operator gave for it. */
  readonly pinned: readonly string[];
  /** Who may certify its host key; undefined where nobody may. Only ssh(1) logs in by a certificate. */
  readonly authorities: HostAuthorities | undefined;
}

export interface ViaRouteOptions {
  readonly via: readonly HopSpec[];
  readonly pinned: ReadonlyMap<string, readonly string[]>;
  readonly hostKeys: HostKeyOptions;
  readonly resolve: Pick<ResolveJumpOptions, "configFile" | "signal" | "resolve">;
}

/**
 * Reads ssh_config and known_hosts for the hops from the jump host on: User, HostName, Port, HostKeyAlias and known_hosts
 * apply. A ProxyJump that is the route itself is ignored; any other, and a ProxyCommand, is `config.invalid`: nobody
 * there could keep it. `jumpAlias` is how the jump host was written.
 */
export async function resolveViaRoute(options: ViaRouteOptions, jump: HostConfig): Promise<ViaHop[]> {
  const { via, pinned, hostKeys } = options;
  const unused = [...pinned.keys()].find((host) => !via.some((spec) => spec.host === host));
  if (unused !== undefined) {
    throw new CodedError(
      "usage.invalid",
      `--via-host-key names ${JSON.stringify(unused)}, which is no hop of --via`,
    );
  }
  const configs = await Promise.all(via.map((spec) => resolveSpec(spec, options.resolve)));
  for (const [index, config] of configs.entries()) checkProxy(config, configs[index - 1] ?? jump);
  return Promise.all(
    configs.map(async (config, index) => {
      // Never asks and never writes: only the jump host can report these hosts' keys.
      const knownHosts = await loadKnownHosts(config, { ...hostKeys, check: "strict", ask: undefined });
      const place = placeOf(config);
      const known = knownHosts.knownKeys(place);
      const pins = pinned.get(config.alias) ?? [];
      return {
        hop: {
          hopId: `hop-${index + 1}`,
          ...{ user: config.user, host: config.hostName, port: config.port },
          // A pinned fingerprint is all that is accepted, whatever known_hosts has besides.
          hostKeys: pins.length === 0 ? known : known.filter((key) => pins.includes(fingerprint(key))),
          fingerprints: pins,
          publicKeys: [],
        },
        ...{ config, knownHosts, check: checkOf(config, hostKeys) },
        pinned: pins,
        // Beside a pinned fingerprint, nobody else's word counts.
        authorities: pins.length === 0 ? authoritiesOf(config, knownHosts) : undefined,
      };
    }),
  );
}

/** The hops with our keys in them. Throws `identity.none` where there is none. */
export function offerKeys(hops: readonly ViaHop[], keys: readonly PublicKey[]): ViaHop[] {
  if (hops.length > 0 && keys.length === 0) {
    throw new CodedError("identity.none", "there is no key to log in to the hops of --via with");
  }
  const publicKeys = keys.slice(0, MAX_OFFERED_KEYS);
  return hops.map((via) => ({ ...via, hop: { ...via.hop, publicKeys } }));
}

/** As ssh: a certificate is for the HostKeyAlias as it is written, else for the host's name in lower case. */
function authoritiesOf(config: HostConfig, knownHosts: KnownHosts): HostAuthorities | undefined {
  const { keys, revoked } = knownHosts.authorities(placeOf(config));
  const name = config.hostKeyAlias ?? config.hostName.toLowerCase();
  return keys.length === 0 ? undefined : { name, keys, revoked };
}

function checkProxy(config: HostConfig, before: HostConfig): void {
  const refuse = (what: string) => {
    throw new CodedError("config.invalid", `cannot keep the ${what} of ${config.alias}, a hop of --via`, {
      leg: "hop",
      hint: "Hops of --via are dialled from the hop before them; put the whole route into --via, or name the host by its address.",
    });
  };
  if (config.proxyCommand !== undefined) refuse("ProxyCommand");
  const jumps = proxyJump(config);
  const last = jumps.at(-1);
  if (last === undefined) return;
  const isRoute = [before.alias, before.hostName].includes(last.host);
  const isSameUser = last.user === undefined || last.user === before.user;
  const isSamePort = last.port === undefined || last.port === before.port;
  if (!isRoute || !isSameUser || !isSamePort) refuse("ProxyJump");
}
