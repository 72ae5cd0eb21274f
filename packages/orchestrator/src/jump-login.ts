import {
  connectChain,
  type Hop,
  type HopOptions,
  type HostConfig,
  type Identity,
  type JumpChain,
  ProxyCommandStream,
} from "@farside/ssh";
import type { LoginOptions } from "./forward-options.ts";
import { parseHopList, parseHopSpec } from "./hop-spec.ts";
import { type HostKeyOptions, loadKnownHosts } from "./host-keys.ts";
import { resolveJumpRoute } from "./jump-route.ts";

export interface ConnectOptions {
  readonly signal: AbortSignal;
  /** For the first connect on the way, instead of ConnectTimeout, where that is longer. */
  readonly dialTimeoutMs?: number | undefined;
  /** Waited for once each host is reached, before a word is said to it. */
  readonly onDialled?: HopOptions["onDialled"];
  /** Called for each hop on the way, the jump host last. */
  readonly onConnected?:
    | ((place: { user: string; host: string; port: number }, hop: Hop) => void)
    | undefined;
}

/** How this workstation gets to a jump host, decided and not yet done. */
export interface JumpLogin {
  /** ssh_config of every host on the way, the jump host last. */
  readonly configs: readonly HostConfig[];
  readonly jump: HostConfig;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** Its ssh_config has BatchMode: nothing of this login may ask anybody. */
  readonly isBatch: boolean;
  readonly hostKeys: HostKeyOptions;
  /** Logs in to every hop; `identity` is borrowed, what it resolves to is the caller's. */
  readonly connect: (identity: Identity, options: ConnectOptions) => Promise<JumpChain>;
}

export interface PlanLoginOptions {
  /** One line for what of ssh_config or known_hosts can't be kept. */
  readonly onWarning: (text: string) => void;
  /** Runs each wait for the operator; default: just runs it. */
  readonly whileAsking?: (<T>(wait: () => Promise<T>) => Promise<T>) | undefined;
}

/** Reads the options and ssh_config for the way to the jump host. Rejects with `usage.invalid` or `config.invalid`. */
export async function planJumpLogin(
  options: LoginOptions,
  { onWarning, whileAsking = (wait) => wait() }: PlanLoginOptions,
): Promise<JumpLogin> {
  const { configFile, signal } = options;
  const configs = await resolveJumpRoute({
    jump: parseHopSpec(options.jump, "the jump host"),
    jumps: parseHopList(options.jumps ?? [], "-J"),
    ...{ configFile, overrides: options.sshOptions, signal },
  });
  const jump = configs.at(-1);
  if (jump === undefined) throw new Error("a route without a host");
  for (const { alias, unsupported } of configs) {
    for (const option of unsupported) onWarning(`${option} of ssh_config is not kept for ${alias}`);
  }
  const isBatch = jump.batchMode;
  const askHostKey = isBatch ? undefined : options.askHostKey;
  const keyboardInteractive = isBatch ? undefined : options.keyboardInteractive;
  const hostKeys: HostKeyOptions = {
    knownHostsFiles: options.knownHostsFiles,
    check: options.hostKeyCheck,
    ask: askHostKey && ((question, rest) => whileAsking(() => askHostKey(question, rest))),
    onWarning,
  };
  return {
    ...{ configs, jump, isBatch, hostKeys, host: `${jump.user}@${jump.hostName}` },
    connect: async (identity, { signal: connectSignal, onConnected, onDialled, dialTimeoutMs }) => {
      const hops = await Promise.all(
        configs.map((config) =>
          hopOptions(config, identity, { ...options, keyboardInteractive }, hostKeys, whileAsking),
        ),
      );
      const [first, ...others] = hops.map((hop) => ({ ...hop, onDialled }));
      const dialled = first === undefined ? [] : [soonerDialled(first, dialTimeoutMs), ...others];
      let connected = 0;
      return connectChain(dialled, {
        signal: connectSignal,
        onConnected: (hop) => {
          const place = hops[connected];
          connected += 1;
          if (place !== undefined) onConnected?.(place, hop);
        },
      });
    },
  };
}

function soonerDialled(hop: HopOptions, dialTimeoutMs: number | undefined): HopOptions {
  if (dialTimeoutMs === undefined) return hop;
  const { connectTimeoutMs = dialTimeoutMs } = hop;
  return { ...hop, connectTimeoutMs: Math.min(connectTimeoutMs, dialTimeoutMs) };
}

async function hopOptions(
  config: HostConfig,
  identity: Identity,
  { keyboardInteractive, onBanner }: LoginOptions,
  hostKeys: HostKeyOptions,
  whileAsking: NonNullable<PlanLoginOptions["whileAsking"]>,
): Promise<HopOptions> {
  const { proxyCommand } = config;
  return {
    ...{ user: config.user, host: config.hostName, port: config.port, leg: "jump", identity, onBanner },
    hostKeyAlias: config.hostKeyAlias,
    hostKeys: await loadKnownHosts(config, hostKeys),
    ...{
      addressFamily: config.addressFamily,
      bindAddress: config.bindAddress,
      algorithms: config.algorithms,
    },
    connectTimeoutMs: config.connectTimeoutMs,
    keepaliveIntervalMs: config.serverAliveIntervalMs,
    keepaliveCountMax: config.serverAliveCountMax,
    dial: proxyCommand === undefined ? undefined : async () => new ProxyCommandStream(proxyCommand),
    keyboardInteractive:
      keyboardInteractive && ((prompts, rest) => whileAsking(() => keyboardInteractive(prompts, rest))),
  };
}
