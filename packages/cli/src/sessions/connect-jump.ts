import { type HopSpec, parseHopList, parseHopSpec } from "@farside/orchestrator";
import {
  connectChain,
  type HopOptions,
  type HostConfig,
  type Identity,
  type JumpChain,
  KnownHosts,
  ProxyCommandStream,
  resolveHost,
} from "@farside/ssh";
import { type SshArguments, sshOptionsOf } from "../options/ssh-arguments.ts";
import type { Prompter } from "../prompt/prompter.ts";
import { askHostKey, askKeyboardInteractive } from "../prompt/questions.ts";

export interface ConnectJumpOptions {
  /** The jump host as it was written when the session was started. */
  readonly jump: string;
  readonly argv: SshArguments;
  /** Opens what logs in; whoever gives it closes it. `config` is that of the jump host. */
  readonly identity: (config: HostConfig) => Promise<Identity>;
  readonly prompter: Prompter | undefined;
  readonly onWarning: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Logs in to the jump host of a session, to look at it: by ssh_config, with the hops of its ProxyJump. */
export async function connectJump(options: ConnectJumpOptions): Promise<JumpChain> {
  const { argv, signal } = options;
  const overrides = sshOptionsOf(argv);
  const resolve = ({ host, user, port }: HopSpec, more: object = {}) =>
    resolveHost(host, { configFile: argv.F, user, port, signal, ...more });
  const jump = await resolve(parseHopSpec(options.jump, "the jump host"), { overrides });
  const before = parseHopList(jump.proxyJump, `ProxyJump of ${jump.alias}`);
  const configs = [...(await Promise.all(before.map((spec) => resolve(spec)))), jump];
  const identity = await options.identity(jump);
  return connectChain(await Promise.all(configs.map((config) => hopOptions(config, identity, options))), {
    signal,
  });
}

async function hopOptions(
  config: HostConfig,
  identity: Identity,
  { argv, prompter, onWarning }: ConnectJumpOptions,
): Promise<HopOptions> {
  const { proxyCommand, strictHostKeyChecking } = config;
  // A key that nobody has seen before is nothing to accept silently for a look at what is left.
  const fromConfig = strictHostKeyChecking === "off" ? "accept-new" : strictHostKeyChecking;
  const hostKeys = await KnownHosts.load({
    files: argv["known-hosts"] === undefined ? config.userKnownHostsFiles : [argv["known-hosts"]],
    globalFiles: config.globalKnownHostsFiles,
    check: argv["host-key-check"] ?? fromConfig,
    hash: config.hashKnownHosts,
    onWarning,
    ...(prompter && { ask: (question, rest) => askHostKey(prompter, question, rest) }),
  });
  return {
    ...{ user: config.user, host: config.hostName, port: config.port, leg: "jump", identity, hostKeys },
    ...{ hostKeyAlias: config.hostKeyAlias, connectTimeoutMs: config.connectTimeoutMs },
    dial: proxyCommand === undefined ? undefined : async () => new ProxyCommandStream(proxyCommand),
    keyboardInteractive: prompter && ((prompts, rest) => askKeyboardInteractive(prompter, prompts, rest)),
  };
}
