import type { Readable, Writable } from "node:stream";
import {
  agentEnding,
  agentHello,
  agentWarning,
  CodedError,
  encodePreamble,
  eventsDropped,
  FramedStream,
  hopConnected,
  hopLost,
  negotiate,
  type OrchestratorHello,
  on,
  orchestratorHello,
  Peer,
  PROTOCOL_VERSIONS,
  resizeCommand,
  toCodedError,
  toWire,
} from "@farside/protocol";
import type { AgentEnd } from "./agent-end.ts";
import { agentVersion } from "./agent-version.ts";
import type { BootFacts } from "./boot-facts.ts";
import { CommandTable, RUN_VARIABLE } from "./command/command-table.ts";
import { connectHopThrough } from "./forwarding/connect-hop.ts";
import { ForwardTable } from "./forwarding/forward-table.ts";
import { relayGate } from "./forwarding/relay-gate.ts";
import { RoutePool } from "./forwarding/route-pool.ts";
import { SockDiagOwners } from "./forwarding/sock-diag-owners.ts";
import type { HostFacts } from "./host-facts.ts";
import { Lifetime } from "./lifetime.ts";
import type { Log } from "./log.ts";
import { agentService } from "./service.ts";

/** The orchestrator's hello is under way while the agent starts. */
const HELLO_TIMEOUT_MS = 15_000;
/** Named optional features that the orchestrator may count on. */
const CAPABILITIES = ["unix-listener", "uid-check", "hops", "command"] as const;
/** What commands get after SIGTERM where the agent ends by itself, or by a signal. A stop request has a grace of its own. */
const COMMANDS_GRACE_MS = 1_500;

export interface SessionAgentOptions {
  readonly boot: BootFacts;
  /** The control channel; owned. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly facts: HostFacts;
  readonly log: Log;
  /** What commands inherit. */
  readonly environment: NodeJS.ProcessEnv;
  readonly helloTimeoutMs?: number;
  /** The session's name is known. */
  readonly onSession?: (session: string) => void;
  /** Ends this process's own SSH login, after an expired lease. */
  readonly endOwnLogin?: () => Promise<unknown>;
}

/**
 * The agent of one session, from its preamble to its end. It ends for the first of these reasons: the end of stdin, an
 * expired lease, --ttl, --idle, `agent.stop`, or `end()`.
 */
export class SessionAgent {
  /** Settles when the reason is there; the agent is then closing. */
  readonly ending: Promise<AgentEnd>;
  /** Settles with the same when everything is released. Never rejects. */
  readonly ended: Promise<AgentEnd>;
  readonly #options: SessionAgentOptions;
  readonly #peer: Peer;
  readonly #routes: RoutePool;
  readonly #forwards: ForwardTable;
  readonly #commands: CommandTable;
  readonly #helloTimer: NodeJS.Timeout;
  #lifetime: Lifetime | undefined;
  #settleEnding: (end: AgentEnd) => void = () => {};

  constructor(options: SessionAgentOptions) {
    this.#options = options;
    const { boot, stdin, stdout, facts, log } = options;
    this.ending = new Promise((resolve) => {
      this.#settleEnding = resolve;
    });
    const emit: Peer["emit"] = (definition, data, emitOptions) =>
      this.#peer.emit(definition, data, emitOptions);
    this.#routes = new RoutePool({
      connect: (hop, previous, signal) => connectHopThrough(this.#peer)(hop, previous, signal),
      onConnected: ({ hopId, user, host, port }, hostKey) => {
        emit(hopConnected, { hopId, user, host, port, hostKey }, { keep: true });
      },
      onLost: ({ hopId }, error) => emit(hopLost, { hopId, error: toWire(error) }, { keep: true }),
      onWarning: (message, hint) =>
        emit(agentWarning, { message, ...(hint === undefined ? {} : { hint }), leg: "hop" }),
    });
    this.#forwards = new ForwardTable({
      uid: facts.uid,
      routes: this.#routes,
      gate: relayGate(() => this.#lifetime?.isLeaseHeld === true),
      emit,
      onRelaysChanged: (open) => this.#lifetime?.relaysChanged(open),
      // The look for what a session left behind goes by this variable.
      startFastOwners: () => new SockDiagOwners({ environment: { [RUN_VARIABLE]: boot.nonce } }),
      log,
    });
    this.#commands = new CommandTable({
      nonce: boot.nonce,
      request: (definition, params, requestOptions) => this.#peer.request(definition, params, requestOptions),
      environment: options.environment,
      requireSession: () => {
        if (this.#lifetime === undefined)
          throw new CodedError("protocol.bad-message", "a request before the hello");
      },
    });
    stdout.write(encodePreamble(boot.nonce, "agent"));
    this.#peer = new Peer(new FramedStream({ readable: stdin, writable: stdout }), {
      requests: [
        ...agentService({
          forwards: this.#forwards,
          commands: this.#commands,
          lifetime: () => this.#lifetime,
          droppedEvents: () => this.#peer.droppedEvents,
          onStopped: () => this.end({ reason: "stopped" }),
        }),
        ...this.#commands.handlers,
      ],
      events: [
        on(orchestratorHello, (hello) => this.#begin(hello)),
        on(resizeCommand, (size) => this.#commands.resize(size)),
      ],
      onEventsDropped: (count) => emit(eventsDropped, { count }, { keep: true }),
      onBug: (error, where) => log.error("a bug", { where, error: stackOf(error) }),
    });
    this.#peer.emit(
      agentHello,
      {
        protocol: PROTOCOL_VERSIONS,
        agentVersion,
        digest: boot.digest,
        capabilities: [...CAPABILITIES],
        ...facts,
      },
      { keep: true },
    );
    this.#helloTimer = setTimeout(() => {
      const error = new CodedError("timeout", "waiting for the orchestrator's hello took too long");
      this.end({ reason: "fatal", error });
    }, options.helloTimeoutMs ?? HELLO_TIMEOUT_MS);
    void this.#peer.closed.then((error) => this.end(endOfChannel(error)));
    this.ended = this.ending.then((end) => this.#close(end));
  }

  /** Ends the agent; the first reason counts. */
  end(reason: AgentEnd): void {
    this.#settleEnding(reason);
  }

  /** SIGKILL for every command, at once: what a process does that is about to exit. */
  killCommands(): void {
    this.#commands.killNow();
  }

  #begin(hello: OrchestratorHello): void {
    const { log, onSession } = this.#options;
    if (this.#lifetime !== undefined) {
      log.warn("a second hello was ignored");
      return;
    }
    clearTimeout(this.#helloTimer);
    try {
      negotiate(PROTOCOL_VERSIONS, { min: hello.protocol, max: hello.protocol });
    } catch (error) {
      this.end({ reason: "fatal", error: toCodedError(error) });
      return;
    }
    log.setLevel(hello.logLevel);
    const { leaseMs, ttlMs, idleMs, session } = hello;
    this.#lifetime = new Lifetime({ leaseMs, ttlMs, idleMs, onEnd: (reason) => this.end({ reason }) });
    onSession?.(session);
    log.info("session started", { session, leaseMs, ttlMs, idleMs });
  }

  async #close(end: AgentEnd): Promise<AgentEnd> {
    const { log, endOwnLogin } = this.#options;
    clearTimeout(this.#helloTimer);
    this.#lifetime?.[Symbol.dispose]();
    log.info("ending", { reason: end.reason, code: end.error?.code, error: end.error?.message });
    const hasGrace = end.reason === "ttl" || end.reason === "idle" || end.reason === "signal";
    await Promise.all([
      this.#step("ending commands", () => this.#commands.closeAll(hasGrace ? COMMANDS_GRACE_MS : 0)),
      this.#step("closing forwards", () => this.#forwards.closeAll(0)),
    ]);
    this.#peer.emit(
      agentEnding,
      { reason: end.reason, ...(end.error === undefined ? {} : { error: toWire(end.error) }) },
      { keep: true },
    );
    if (end.reason === "lease-expired") await this.#step("ending the login", () => endOwnLogin?.());
    await Promise.all([
      this.#step("closing hops", () => this.#routes.close()),
      this.#step("closing the control channel", () => this.#peer.close()),
    ]);
    return end;
  }

  async #step(what: string, step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#options.log.error(`${what} failed`, { error: stackOf(error) });
    }
  }
}

/** A stdin that ended and a stdout that broke are the same: nobody is there any more. */
function endOfChannel(error: CodedError | undefined): AgentEnd {
  return error === undefined || error.code === "agent.gone"
    ? { reason: "stdin-ended" }
    : { reason: "fatal", error };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
