import type { OrchestratorHello } from "@farside/protocol";
import type { HostConfig, Identity, KeyboardPrompts, KeyFileOptions } from "@farside/ssh";
import type { AgentBundle } from "./deploy.ts";
import type { SessionEventDraft, SessionEventListener } from "./event-log.ts";
import type { ForwardSpec } from "./forward-spec.ts";
import type { AskHostKey, HostKeyCheck } from "./host-keys.ts";
import type { IdentityChoice } from "./identity-choice.ts";
import type { RuntimeOptions } from "./runtime/provide-runtime.ts";
import type { RuntimeMode } from "./runtime/runtime-choice.ts";

/** What an identity that is opened for a session learns about it. */
export interface IdentityContext {
  /** ssh_config of the jump host. */
  readonly config: HostConfig;
  /** Tells the session's listeners: a card's login. */
  readonly emit: (event: SessionEventDraft) => void;
  readonly signal: AbortSignal | undefined;
}

/** How to log in to the jump host. Only `jump` must be given; ssh_config fills in the rest. */
export interface LoginOptions {
  /** `[user@]host[:port]`, an alias of ssh_config, or `ssh://…`. */
  readonly jump: string;
  /** Hops on the way to the jump host (`-J`). Default: ProxyJump. */
  readonly jumps?: string | readonly string[] | undefined;
  /** Instead of the user's ssh_config (`-F`). */
  readonly configFile?: string | undefined;
  /** `-o` options, for the jump host. */
  readonly sshOptions?: Readonly<Record<string, string>> | undefined;
  /** Instead of UserKnownHostsFile. */
  readonly knownHostsFiles?: readonly string[] | undefined;
  /** Default: StrictHostKeyChecking of ssh_config. `accept-new` never applies to hops of `via`. */
  readonly hostKeyCheck?: HostKeyCheck | undefined;
  /** Asks about an unknown host key. Default: unknown keys are refused. */
  readonly askHostKey?: AskHostKey | undefined;
  /** Answers what a host asks after the key (a one-time password). Default: such logins fail. */
  readonly keyboardInteractive?:
    | ((prompts: KeyboardPrompts, options: { signal: AbortSignal }) => Promise<readonly string[]>)
    | undefined;
  /** What a host shows before the login: harmless text. */
  readonly onBanner?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** See `ForwardOptions.engine`. */
export type EngineName = "ssh2" | "openssh";

/** What `deployAndForward` is told. Only `jump` and `forwards` must be given. */
export interface ForwardOptions extends LoginOptions {
  /** One `-L` or several, as ssh(1) has them; the listeners are on the jump host. */
  readonly forwards: string | ForwardSpec | readonly (string | ForwardSpec)[];
  /** Hops from the jump host on; targets are dialled from the last. A comma list, or a list. Default: none. */
  readonly via?: string | readonly string[] | undefined;
  /** Host keys of `via` by fingerprint, `HOST=SHA256:…` each. Default: known_hosts alone. */
  readonly viaHostKeys?: readonly string[] | undefined;

  /**
   * What logs in, to the jump host and the hops behind it: `agent` for the ssh-agent, a key file's path, an Identity (which
   * stays the caller's; SharedIdentity for many sessions), or a function that opens one (which the session then closes). Default: the ssh-agent and the key
   * files that ssh would try.
   */
  readonly identity?: IdentityChoice | ((context: IdentityContext) => Promise<Identity>) | undefined;
  /** `close`: the session ends, without grace, when the event `card.state` says `removed`. Default `keep`. */
  readonly onCardRemoval?: "keep" | "close" | undefined;
  /** How such an identity is opened again, for the session's record: no secrets. Default: what a string of `identity` says. */
  readonly identityNote?: Readonly<Record<string, string>> | undefined;
  /** Asks for the passphrase of an encrypted key file. Default: such keys can't be used. */
  readonly passphrase?: KeyFileOptions["passphrase"];

  /**
   * What listens and forwards on the jump host: `ssh2` is farside's agent with its own SSH, which needs Node.js there;
   * `openssh` is the host's ssh(1), which needs `via`. Default `ssh2`.
   */
  readonly engine?: EngineName | undefined;
  /** Path of the Node.js to use on the jump host. Default: search. */
  readonly remoteNode?: string | undefined;
  /** What happens where the jump host has no Node.js that fits. Default `auto`: one is sent, and removed at the end. */
  readonly runtime?: RuntimeMode | undefined;
  /** Leave a Node.js that is sent on the jump host, for the next session. Default false. */
  readonly keepRuntime?: boolean | undefined;
  /** A `node` for the jump host's machine, to be sent instead of the builds that farside knows and fetches with npm. */
  readonly runtimeFile?: string | undefined;
  /** Asks before anything is fetched or sent. Default: goes on. */
  readonly askRuntime?: RuntimeOptions["ask"];
  /** Hears how a Node.js is fetched, packed and sent. */
  readonly onRuntimeProgress?: RuntimeOptions["onProgress"];
  /** Fail with `forward.forbidden-by-policy` where the jump host's sshd forbids this login to forward. Default false. */
  readonly respectSshdPolicy?: boolean | undefined;

  /** Name of the session; default: a generated one. */
  readonly name?: string | undefined;
  /** Ports that agents of other live sessions of the same user hold are taken over, too. Default false. */
  readonly takeOver?: boolean | undefined;
  /** Users of the jump host who may connect to loopback listeners besides the login's own and root. */
  readonly allowUsers?: readonly string[] | undefined;
  /** Every user may. Default false. */
  readonly allowAnyUser?: boolean | undefined;
  /** Relays of a forward at a time; above it, clients wait. Default 0: no limit. */
  readonly maxRelays?: number | undefined;
  /**
   * Connections to the last hop that relays are spread over when there are many, 1 to 16; each further one is signed for.
   * Default 4, and 1 where somebody is asked for each signature, as far as that can be known.
   */
  readonly connections?: number | undefined;
  /** How often each target is dialled, without a byte, to know whether it can be had; at least 1 s. Default 0: never. */
  readonly probeMs?: number | undefined;
  /** The agent ends by itself when it hears nothing for so long; at least 1 s, default 15 s. */
  readonly leaseMs?: number | undefined;
  /** The session ends after this time. Default 0: never. */
  readonly ttlMs?: number | undefined;
  /** It ends after this time without an open relay. Default 0: never. */
  readonly idleMs?: number | undefined;
  /** What open relays get at a teardown, also one of a session that was left to itself. Default 10 s. */
  readonly graceMs?: number | undefined;
  /**
   * The agent outlives the connection to the jump host: it goes on for its lease while the session logs in again and attaches
   * to it. Default false. It then runs no commands.
   */
  readonly reattach?: boolean | undefined;
  /** Like `reattach`, and the session may be left with `detach()`; needs `ttlMs`. Default false. */
  readonly detach?: boolean | undefined;
  /**
   * With `reattach` or `detach`: a loopback port of the jump host on which the agent answers `GET /metrics` and `/healthz`, for the login's
   * own user and root; 0 takes a free one. Default: none, those pages are on its control socket alone.
   */
  readonly metricsPort?: number | undefined;
  /** Time for the machines to get ready, waits for people and cards not counted. Default 30 s. */
  readonly startTimeoutMs?: number | undefined;
  /** Written as JSON once every forward is open, removed at the end. */
  readonly readyFile?: string | undefined;
  readonly logLevel?: OrchestratorHello["logLevel"] | undefined;
  /** Lines of the agent's log: JSON, harmless. */
  readonly onAgentLog?: ((line: string) => void) | undefined;
  /** Hears every event from the start on. */
  readonly onEvent?: SessionEventListener | undefined;
  /** Stops the start; has no effect once the session is ready. */
  readonly signal?: AbortSignal | undefined;

  /** Where sessions are kept; default `stateFolder()`. */
  readonly stateFolder?: string | undefined;
  /** The agent; default: the one of this installation. */
  readonly bundle?: AgentBundle | undefined;
  /** The agent of `reattach` and `detach`; default: the one of this installation. */
  readonly residentBundle?: AgentBundle | undefined;
  /** What reaches that agent again; default: the one of this installation. */
  readonly bridgeBundle?: AgentBundle | undefined;
}

/** What applies where an option is not given. Times in ms. */
export const DEFAULTS = {
  leaseMs: 15_000,
  ttlMs: 0,
  idleMs: 0,
  graceMs: 10_000,
  startTimeoutMs: 30_000,
  maxRelays: 0,
  probeMs: 0,
  connections: 4,
  logLevel: "warn",
} as const;
