import { type AgentDescription, abortable, CodedError, harmless } from "@farside/protocol";
import type { AuditTrail } from "@farside/protocol/audit";
import { fingerprint, hostKeyIn, type Identity } from "@farside/ssh";
import { newNonce } from "../../bootstrap.ts";
import { formatHop } from "../../delegated-signing.ts";
import type { DeclaredHop } from "../../destination-guard.ts";
import { type ForwardCounters, zeroCounters } from "../../forward-counters.ts";
import type { ForwardSpec } from "../../forward-spec.ts";
import type { RemoteCommand, RunOptions } from "../../remote-command.ts";
import type { SessionFolder } from "../../session-folder.ts";
import type { UndoEntry } from "../../session-record.ts";
import type { StartDeadline } from "../../start-deadline.ts";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "../engine.ts";
import { GuardedAgent } from "./guarded-agent.ts";
import { checkHostReport, sshTooOld } from "./host-report.ts";
import { type PlannedForward, planListeners } from "./plan-listeners.ts";
import { ShellCommands } from "./shell-commands.ts";
import { forwardWords, type HopTrust, proxyWords, type SshHop, sshHop } from "./ssh-command.ts";
import { sshFailure } from "./ssh-failure.ts";
import { type SshExit, Supervisor } from "./supervisor.ts";
import { ON_LISTENING, type SshStart, sshCommand } from "./supervisor-script.ts";
import { whatIsLost } from "./what-is-lost.ts";

export interface OpensshEngineOptions {
  readonly forwards: readonly ForwardSpec[];
  /** Signs for hops of the route; borrowed. */
  readonly identity: Pick<Identity, "sign">;
  /** What is accepted as a hop's host key besides its declared ones. */
  readonly trustOf: (hop: DeclaredHop) => HopTrust;
  /** Resolves where a key that such a fingerprint fits may be declared. */
  readonly judgeHostKey: (hop: DeclaredHop, blob: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** Every user of the jump host may connect anyway. */
  readonly allowAnyUser: boolean;
  readonly leaseMs: number;
  /** The session ends after this time. 0: never. */
  readonly ttlMs: number;
  readonly folder: Pick<SessionFolder, "making" | "undone" | "update">;
  /** Where it is written down that a supervisor is started. */
  readonly audit: Pick<AuditTrail, "append">;
  /** Told how far the start has come. */
  readonly startDeadline: Pick<StartDeadline, "reached">;
  /** Lines that ssh prints: harmless. */
  readonly onSshLog?: ((line: string) => void) | undefined;
}

/** Only sshd's own socket is the supervisor's to remove; see its script. */
const SSHD_SOCKET = /^\/tmp\/ssh-[^/]+\/agent\.\d+$|\/\.ssh\/agent\/s\.[^/]+\.sshd\.[^/]+$/;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Of failed connections, how many are told one by one. */
const MAX_TOLD_FAILURES = 100;

/**
 * The engine for hosts without Node.js, and for hops that ssh2 can't log in to: the jump host's own ssh(1) listens there,
 * under a supervisor that ends it, and the card is lent to it through an agent that answers only what the destination
 * guard accepts, and nothing once every hop is logged in to.
 */
export class OpensshEngine implements Engine {
  readonly counters: ForwardCounters = zeroCounters();
  readonly #options: OpensshEngineOptions;
  readonly #context: EngineContext;
  readonly #route: readonly SshHop[];
  readonly #agent: GuardedAgent;
  #supervisor: Supervisor | undefined;
  #commands: ShellCommands | undefined;
  #wasListening = false;
  #isEnding = false;
  #failedConnections = 0;
  #ttl: NodeJS.Timeout | undefined;

  /** Each hop of the context's route is offered its first key only. */
  constructor(options: OpensshEngineOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
    this.#route = context.route.map((hop) =>
      sshHop({ ...hop, publicKeys: hop.publicKeys.slice(0, 1) }, options.trustOf(hop)),
    );
    this.#agent = new GuardedAgent({ ...options, route: this.#route, emit: context.emit });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { folder, audit, startDeadline } = this.#options;
    const { hop, host, session, emit } = this.#context;
    emit({ event: "warning", ...whatIsLost(host, this.#options.allowAnyUser), leg: "jump" });
    const startedAt = performance.now();
    const nonce = newNonce();
    await folder.making({ made: "agent", nonce });
    folder.update({ nonce });
    audit.append({ event: "supervise", session, host, run: nonce });
    startDeadline.reached("its login has not come to the command yet");
    try {
      this.#supervisor = await Supervisor.start({
        ...{ hop, host, nonce, signal, agent: this.#agent.serve },
        onStderr: (line) => this.#hear(line),
      });
    } catch (error) {
      const { code } = error as { code?: unknown };
      // The host ran nothing of it.
      if (
        ["hop.channel-refused", "engine.forwarding-refused", "agent.command-refused"].includes(String(code))
      )
        await folder.undone({ made: "agent", nonce });
      throw error;
    }
    const supervisor = this.#supervisor;
    const { report } = supervisor;
    const signalGroup = (name: string, group: number) => supervisor.signalGroup(name, group);
    this.#commands = new ShellCommands({ hop, host, nonce, signalGroup });
    checkHostReport(report, host);
    startDeadline.reached(undefined);
    const durationMs = Math.round(performance.now() - startedAt);
    emit({ event: "engine.ready", host, engine: "openssh", version: report.version ?? "", durationMs });
  }

  async open({ onOpen, signal }: OpenOptions): Promise<void> {
    const supervisor = this.#running;
    for (const one of this.#route) checkHostKeys(one);
    const { forwards, folder, leaseMs, startDeadline } = this.#options;
    const planned = planListeners(forwards, supervisor.report, this.#context.host);
    const { socket } = supervisor.report;
    for (const entry of listenersOf(planned)) await folder.making(entry);
    if (socket !== undefined && SSHD_SOCKET.test(socket))
      await folder.making({ made: "socket", path: socket });
    startDeadline.reached("the ssh there has not logged in and opened the listeners yet");
    supervisor.begin({
      ...this.#sshStart(planned),
      sockets: planned.flatMap(({ bound }) =>
        bound.flatMap((bind) => (bind.kind === "unix" ? [bind.path] : [])),
      ),
      leaseS: Math.ceil(leaseMs / 1000),
    });
    const outcome = await abortable(
      Promise.race([
        supervisor.listening.then(() => "listening" as const),
        supervisor.taken.then((path) => ({ path })),
        supervisor.exit,
      ]),
      signal,
    );
    if (outcome !== "listening") throw await this.#notOpened(planned, outcome);
    this.#wasListening = true;
    this.#agent.close();
    startDeadline.reached(undefined);
    this.#tellHops();
    for (const [index, { bound }] of planned.entries()) {
      const target = forwards[index]?.target;
      if (target === undefined) throw new Error("a forward that nobody asked for");
      onOpen({ id: String(index + 1), bound, target, via: this.#route.map(formatHop) });
    }
    void supervisor.exit.then((exit) => this.#fail(this.#failure(exit)));
    this.#startTtl();
  }

  async describe(): Promise<AgentDescription> {
    throw new CodedError("agent.gone", "there is no agent: --engine openssh counts no relays", {
      leg: "jump",
    });
  }

  run(argv: readonly string[], options: RunOptions): RemoteCommand {
    if (this.#commands === undefined) throw new CodedError("agent.gone", "there is no ssh", { leg: "jump" });
    return this.#commands.run(argv, options);
  }

  async end({ graceMs, escalated }: EndOptions): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#ttl);
    this.#agent.close();
    await this.#commands?.end(graceMs, escalated);
    await this.#supervisor?.close();
  }

  /** What was found on the jump host, and what its login printed before; undefined where it was not asked. */
  get found(): Pick<Supervisor, "report" | "noise"> | undefined {
    return this.#supervisor;
  }

  get #running(): Supervisor {
    if (this.#supervisor === undefined)
      throw new CodedError("agent.gone", "there is no ssh", { leg: "jump" });
    return this.#supervisor;
  }

  /** The last hop's ssh listens; each hop before it is another ssh, which connects stdin and stdout of the next. */
  #sshStart(planned: readonly PlannedForward[]): Pick<SshStart, "words" | "environment"> {
    const environment: Record<string, string> = {};
    let proxy: string | undefined;
    for (const [index, next] of this.#route.slice(1).entries()) {
      const name = `FARSIDE_HOP_${index + 1}`;
      environment[name] = sshCommand(proxyWords(this.#route.slice(0, index + 1), next, proxy));
      proxy = `/bin/sh -c 'eval "$${name}"'`;
    }
    const listeners = planned.flatMap((forward) => forward.listeners);
    return {
      environment,
      words: forwardWords(this.#route, listeners, { proxy, onListening: ON_LISTENING }),
    };
  }

  /** Why ssh has not come to listening. Nobody listens now, on anything that was planned. */
  async #notOpened(
    planned: readonly PlannedForward[],
    outcome: SshExit | { path: string },
  ): Promise<CodedError> {
    for (const entry of listenersOf(planned)) await this.#options.folder.undone(entry);
    if (!("path" in outcome)) return this.#failure(outcome);
    const path = harmless(outcome.path, 200);
    return new CodedError(
      "forward.port-in-use",
      `listening on ${path} of ${this.#context.host}: something is there`,
      {
        leg: "bind",
        hint: "Remove it, or choose another path.",
      },
    );
  }

  #failure({ status }: SshExit): CodedError {
    const { stderr, report } = this.#running;
    const { host } = this.#context;
    const failure = sshFailure({
      stderr,
      status,
      host,
      route: this.#route,
      wasListening: this.#wasListening,
    });
    if (this.#agent.failure !== undefined) return this.#agent.failure;
    const isUnguarded = this.#agent.hasListedUnbound && this.#agent.signedFor.size === 0;
    if (failure.code === "hop.auth-refused" && isUnguarded) return sshTooOld(report.version ?? "", host);
    return failure;
  }

  /** Throws `hop.no-signature` for a hop that let ssh in without the card. */
  #tellHops(): void {
    const { emit, host } = this.#context;
    for (const hop of this.#route) {
      const hostKey = this.#agent.signedFor.get(hop.hopId);
      if (hostKey === undefined) {
        throw new CodedError(
          "hop.no-signature",
          `logging in to ${formatHop(hop)} with the ssh of ${host}: nobody asked for a signature`,
          {
            leg: "hop",
            hint: "It lets anybody in, or another ssh-agent was asked: does an rc file of the login set SSH_AUTH_SOCK?",
          },
        );
      }
      const { user, port } = hop;
      const shown = fingerprint(hostKeyIn(hostKey) ?? hostKey);
      emit({ event: "hop.connected", leg: "hop", user, host: hop.host, port, hostKey: shown });
    }
  }

  #hear(line: string): void {
    this.#options.onSshLog?.(line);
    const why = /^channel \d+: open failed: (.*)/.exec(line)?.[1];
    if (!this.#wasListening || why === undefined) return;
    this.#failedConnections += 1;
    if (this.#failedConnections > MAX_TOLD_FAILURES) return;
    this.#context.emit({
      event: "warning",
      message: `a connection did not reach its target: ${why}`,
      leg: "target",
    });
  }

  #startTtl(): void {
    const { ttlMs } = this.#options;
    if (ttlMs === 0) return;
    const message = `the session on ${this.#context.host} ended: its --ttl has passed`;
    const over = () => this.#fail(new CodedError("session.limit-reached", message, { leg: "jump" }));
    this.#ttl = setTimeout(over, Math.min(ttlMs, MAX_TIMER_MS));
  }

  #fail(failure: CodedError): void {
    if (!this.#isEnding) this.#context.onFailure(failure);
  }
}

function listenersOf(planned: readonly PlannedForward[]): UndoEntry[] {
  return planned.flatMap(({ bound }) =>
    bound.map(
      (bind): UndoEntry =>
        bind.kind === "unix" ? { made: "socket", path: bind.path } : { made: "listener", port: bind.port },
    ),
  );
}

function checkHostKeys(hop: SshHop): void {
  if (hop.hostKeys.length + hop.pins.length + (hop.authorities?.keys.length ?? 0) > 0) return;
  throw new CodedError("host-key.unknown", `logging in to ${formatHop(hop)}: its host key is unknown`, {
    leg: "hop",
    hint: "Add it to known_hosts, or give --via-host-key HOST=SHA256:…; with --engine openssh nobody can be asked.",
  });
}
