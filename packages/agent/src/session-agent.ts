import type { Readable, Writable } from "node:stream";
import {
  agentHello,
  CodedError,
  encodePreamble,
  eventsDropped,
  FramedStream,
  type OrchestratorHello,
  on,
  orchestratorHello,
  Peer,
  PROTOCOL_VERSIONS,
  resizeCommand,
  toCodedError,
} from "@farside/protocol";
import { AgentCore, stackOf } from "./agent-core.ts";
import type { AgentEnd } from "./agent-end.ts";
import { agentVersion } from "./agent-version.ts";
import type { BootFacts } from "./boot-facts.ts";
import { CommandTable, RUN_VARIABLE } from "./command/command-table.ts";
import { fastOwners } from "./forwarding/fast-owners.ts";
import type { HostFacts } from "./host-facts.ts";
import type { Log } from "./log.ts";

/** The orchestrator's hello is under way while the agent starts. */
const HELLO_TIMEOUT_MS = 15_000;
/** Named optional features that the orchestrator may count on. */
const CAPABILITIES = ["unix-listener", "uid-check", "hops", "command", "probe"] as const;

export interface SessionAgentOptions {
  readonly boot: BootFacts;
  /** The control channel; owned. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly facts: HostFacts;
  readonly log: Log;
  /** What commands inherit; the variable of the bootstrap's socket is taken out of it. */
  readonly environment: NodeJS.ProcessEnv;
  readonly helloTimeoutMs?: number;
  /** Shows others until when the lease is held; see `AgentCoreOptions`. */
  readonly onLease?: ((session: string, until: number | "never") => void) | undefined;
  /** Ends this process's own SSH login, after an expired lease. */
  readonly endOwnLogin?: () => Promise<unknown>;
}

/**
 * The agent of one session, from its preamble to its end, with one control channel that it does not outlive. It ends for
 * the first of these reasons: the end of stdin, an expired lease, --ttl, --idle, `agent.stop`, or `end()`.
 */
export class SessionAgent {
  /** Settles when the reason is there; the agent is then closing. */
  readonly ending: Promise<AgentEnd>;
  /** Settles with the same when everything is released. Never rejects. */
  readonly ended: Promise<AgentEnd>;
  readonly #options: SessionAgentOptions;
  readonly #core: AgentCore;
  readonly #peer: Peer;
  readonly #commands: CommandTable;
  readonly #helloTimer: NodeJS.Timeout;

  constructor(options: SessionAgentOptions) {
    this.#options = options;
    const { boot, stdin, stdout, facts, log } = options;
    const emit: Peer["emit"] = (definition, data, emitOptions) =>
      this.#peer.emit(definition, data, emitOptions);
    const request: Peer["request"] = (definition, params, requestOptions) =>
      this.#peer.request(definition, params, requestOptions);
    this.#core = new AgentCore({
      ...{ nonce: boot.nonce, facts, log, emit, request },
      startFastOwners: fastOwners(options.environment, { [RUN_VARIABLE]: boot.nonce }),
      droppedEvents: () => this.#peer.droppedEvents,
      endCommands: (graceMs) => this.#commands.closeAll(graceMs),
      onEnding: ({ reason }) => (reason === "lease-expired" ? options.endOwnLogin?.() : undefined),
      onLease: options.onLease,
      closeControl: () => this.#peer.close(),
    });
    this.#commands = new CommandTable({
      ...{ nonce: boot.nonce, request, environment: options.environment },
      requireSession: () => this.#core.requireSession(),
    });
    stdout.write(encodePreamble(boot.nonce, "agent"));
    this.#peer = new Peer(new FramedStream({ readable: stdin, writable: stdout }), {
      requests: [...this.#core.service, ...this.#commands.handlers],
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
    this.ending = this.#core.ending;
    this.ended = this.#core.ended;
    void this.ending.then(() => clearTimeout(this.#helloTimer));
  }

  /** Ends the agent; the first reason counts. */
  end(reason: AgentEnd): void {
    this.#core.end(reason);
  }

  /** SIGKILL for every command, at once: what a process does that is about to exit. */
  killCommands(): void {
    this.#commands.killNow();
  }

  #begin(hello: OrchestratorHello): void {
    const { log } = this.#options;
    if (this.#core.lifetime !== undefined) {
      log.warn("a second hello was ignored");
      return;
    }
    clearTimeout(this.#helloTimer);
    try {
      this.#core.begin(hello);
    } catch (error) {
      this.end({ reason: "fatal", error: toCodedError(error) });
    }
  }
}

/** A stdin that ended and a stdout that broke are the same: nobody is there any more. */
function endOfChannel(error: CodedError | undefined): AgentEnd {
  return error === undefined || error.code === "agent.gone"
    ? { reason: "stdin-ended" }
    : { reason: "fatal", error };
}
