import { CodedError, MAX_HOPS } from "@farside/protocol";
import { type HostConfig, type ResolveOptions, resolveHost } from "@farside/ssh";
import { formatHopSpec, type HopSpec, parseHopSpec } from "./hop-spec.ts";

export interface ResolveJumpOptions {
  readonly jump: HopSpec;
  /** `-J`: hops before the jump host; wins over ProxyJump. */
  readonly jumps?: readonly HopSpec[] | undefined;
  readonly configFile?: string | undefined;
  /** `-o` options, for the jump host alone, as in ssh. */
  readonly overrides?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: `resolveHost` of @farside/ssh. */
  readonly resolve?: typeof resolveHost | undefined;
}

/**
 * What ssh_config says about each host on the way to the jump host, nearest first, the jump host last. Rejects with
 * `config.invalid`, also where ProxyJumps go in a circle.
 */
export async function resolveJumpRoute(options: ResolveJumpOptions): Promise<HostConfig[]> {
  const { jump, jumps = [], overrides } = options;
  const before = jumps.length === 0 ? undefined : jumps;
  const route = await resolveWay(jump, before, overrides, options, []);
  if (route.length <= MAX_HOPS) return route;
  throw new CodedError(
    "config.invalid",
    `cannot use ${route.length} hops to reach ${jump.host}: at most ${MAX_HOPS}`,
    {
      leg: "jump",
    },
  );
}

async function resolveWay(
  spec: HopSpec,
  before: readonly HopSpec[] | undefined,
  overrides: ResolveOptions["overrides"],
  options: ResolveJumpOptions,
  passed: readonly string[],
): Promise<HostConfig[]> {
  const name = formatHopSpec(spec);
  if (passed.includes(name) || passed.length >= MAX_HOPS) {
    throw new CodedError("config.invalid", `reading ssh_config for ${name}: its ProxyJump leads to itself`, {
      leg: "jump",
    });
  }
  const config = await resolveSpec(spec, { ...options, overrides });
  const [first, ...others] = before ?? proxyJump(config);
  if (first === undefined) return [config];
  // Only the nearest one's own ProxyJump counts: the others are reached through the one before them.
  const nearest = await resolveWay(first, undefined, undefined, options, [...passed, name]);
  const between = await Promise.all(
    others.map((other) => resolveSpec(other, { ...options, overrides: undefined })),
  );
  return [...nearest, ...between, config];
}

/** ProxyJump as hops. */
export function proxyJump(config: HostConfig): HopSpec[] {
  return config.proxyJump.map((text) => parseHopSpec(text, `ProxyJump of ${config.alias}`));
}

/** ssh_config for one host as it was written; what was written wins. */
export function resolveSpec(
  { user, host, port }: HopSpec,
  options: Pick<ResolveJumpOptions, "configFile" | "overrides" | "signal" | "resolve">,
): Promise<HostConfig> {
  const { configFile, overrides, signal, resolve = resolveHost } = options;
  return resolve(host, { configFile, user, port, overrides, signal });
}
