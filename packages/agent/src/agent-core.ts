import {
  agentEnding,
  agentWarning,
  CodedError,
  hopConnected,
  hopLost,
  negotiate,
  type OrchestratorHello,
  type Peer,
  PROTOCOL_VERSIONS,
  type RequestHandler,
  toWire,
} from "@farside/protocol";
import { CollectWhenIdle } from "@farside/protocol/collect-when-idle";
import type { AgentEnd } from "./agent-end.ts";
import { agentVersion } from "./agent-version.ts";
import { RUN_VARIABLE } from "./command/command-table.ts";
import type { AgentFacts } from "./control/answer-requests.ts";
import { connectHopThrough } from "./forwarding/connect-hop.ts";
import { ForwardTable, type ForwardTableOptions } from "./forwarding/forward-table.ts";
import { relayGate } from "./forwarding/relay-gate.ts";
import { RoutePool } from "./forwarding/route-pool.ts";
import type { ConnectHop } from "./forwarding/shared-hop.ts";
import { SockDiagOwners } from "./forwarding/sock-diag-owners.ts";
import type { SocketOwners } from "./forwarding/socket-owner.ts";
import { tellSlowWay } from "./forwarding/tell-slow-way.ts";
import type { HostFacts } from "./host-facts.ts";
import { Lifetime } from "./lifetime.ts";
import type { Log } from "./log.ts";
import { probeService } from "./probe/probe-service.ts";
import { agentService } from "./service.ts";
import { leaseUntil } from "./takeover/agent-title.ts";

/** What commands get after SIGTERM where the agent ends by itself, or by a signal. A stop request has a grace of its own. */
const COMMANDS_GRACE_MS = 1_500;

export interface AgentCoreOptions {
  /** Marks every process of this agent; see `RUN_VARIABLE`. */
  readonly nonce: string;
  readonly facts: HostFacts;
  readonly log: Log;
  /** Tells whoever is the orchestrator now. */
  readonly emit: Peer["emit"];
  /** Asks it. */
  readonly request: Peer["request"];
  /** Connects hops; default: with signatures that `request` asks for. */
  readonly connectHop?: ConnectHop | undefined;
  /** Starts what looks connections' owners up faster than /proc does; default: a helper process. */
  readonly startFastOwners?: (() => SocketOwners) | undefined;
  /** Whether relays may start; default: while the lease is held. */
  readonly mayRelay?: (() => boolean) | undefined;
  /** Events that could not be told, since the start. */
  readonly droppedEvents: () => number;
  /** Ends the commands that the agent runs, where it runs any: with that grace, for good. */
  readonly endCommands?: ((graceMs: number) => Promise<void>) | undefined;
  /** Called when forwards and commands are closed and the last event is out. */
  readonly onEnding?: ((end: AgentEnd) => unknown) | undefined;
  /** Shows others until when the agent's lease is held (s of the host's uptime). */
  readonly onLease?: ((session: string, until: number | "never") => void) | undefined;
  /** Called when a forward is open. */
  readonly onBound?: ForwardTableOptions["onBound"];
  /** Closes the control channels, the last thing that is done. */
  readonly closeControl: () => unknown;
}

/**
 * What every agent is, whatever carries its control channel and whatever keeps it alive: forwards, hops, a lifetime, and
 * one way to the end.
 */
export class AgentCore {
  readonly forwards: ForwardTable;
  /** One handler for each request about forwards and the agent itself; for any number of control channels. */
  readonly service: readonly RequestHandler[];
  /** Settles when the reason to end is there; the agent is then closing. */
  readonly ending: Promise<AgentEnd>;
  /** Settles with the same when everything is released. Never rejects. */
  readonly ended: Promise<AgentEnd>;
  readonly #startedAt = performance.now();
  readonly #options: AgentCoreOptions;
  readonly #routes: RoutePool;
  readonly #garbage = new CollectWhenIdle();
  #lifetime: Lifetime | undefined;
  #settleEnding: (end: AgentEnd) => void = () => {};

  constructor(options: AgentCoreOptions) {
    this.#options = options;
    const { nonce, facts, log, emit, request } = options;
    this.ending = new Promise((resolve) => {
      this.#settleEnding = resolve;
    });
    this.#routes = new RoutePool({
      connect: tellSlowWay(options.connectHop ?? connectHopThrough({ request }), log),
      onConnected: ({ hopId, user, host, port }, hostKey) => {
        emit(hopConnected, { hopId, user, host, port, hostKey }, { keep: true });
      },
      onLost: ({ hopId }, error) => emit(hopLost, { hopId, error: toWire(error) }, { keep: true }),
      onWarning: (message, hint) =>
        emit(agentWarning, { message, ...(hint === undefined ? {} : { hint }), leg: "hop" }),
    });
    this.forwards = new ForwardTable({
      uid: facts.uid,
      routes: this.#routes,
      gate: relayGate(options.mayRelay ?? (() => this.#lifetime?.isLeaseHeld === true)),
      emit,
      onRelaysChanged: (open) => {
        this.#lifetime?.relaysChanged(open);
        this.#garbage.relaysChanged(open);
      },
      onBound: (forwardId, bound) => {
        this.#lifetime?.forwardOpened();
        options.onBound?.(forwardId, bound);
      },
      // The look for what a session left behind goes by this variable.
      startFastOwners:
        options.startFastOwners ?? (() => new SockDiagOwners({ environment: { [RUN_VARIABLE]: nonce } })),
      log,
    });
    this.service = [
      ...agentService({
        forwards: this.forwards,
        endCommands: options.endCommands,
        lifetime: () => this.requireSession(),
        droppedEvents: options.droppedEvents,
        onStopped: () => this.end({ reason: "stopped" }),
      }),
      ...probeService({ routes: this.#routes, requireSession: () => void this.requireSession() }),
    ];
    this.ended = this.ending.then((end) => this.#close(end));
  }

  /** Undefined until the first orchestrator has said hello. */
  get lifetime(): Lifetime | undefined {
    return this.#lifetime;
  }

  /** Begins the agent's life as the first orchestrator's hello says. Throws `protocol.version`. */
  begin(hello: OrchestratorHello): void {
    const { log } = this.#options;
    checkVersion(hello);
    log.setLevel(hello.logLevel);
    const { leaseMs, ttlMs, idleMs, session } = hello;
    this.#lifetime = new Lifetime({
      ...{ leaseMs, ttlMs, idleMs },
      onEnd: (reason) => this.end({ reason }),
      isWaitedFor: () => this.forwards.isWaitedFor,
      onLease: (endsInMs) =>
        this.#options.onLease?.(session, endsInMs === undefined ? "never" : leaseUntil(endsInMs)),
    });
    log.info("session started", { session, leaseMs, ttlMs, idleMs });
  }

  /** Throws where no orchestrator has said hello yet. */
  requireSession(): Lifetime {
    if (this.#lifetime !== undefined) return this.#lifetime;
    throw new CodedError("protocol.bad-message", "a request before the hello");
  }

  /** What `/metrics` and `/healthz` tell. */
  facts(name: string, eventsDropped: number): AgentFacts {
    const uptimeMs = performance.now() - this.#startedAt;
    return { name, version: agentVersion, uptimeMs, eventsDropped, forwards: this.forwards.counters };
  }

  /** Ends the agent; the first reason counts. */
  end(reason: AgentEnd): void {
    this.#settleEnding(reason);
  }

  async #close(end: AgentEnd): Promise<AgentEnd> {
    const { log, emit, endCommands, onEnding, closeControl } = this.#options;
    this.#lifetime?.[Symbol.dispose]();
    this.#garbage[Symbol.dispose]();
    log.info("ending", { reason: end.reason, code: end.error?.code, error: end.error?.message });
    const hasGrace = end.reason === "ttl" || end.reason === "idle" || end.reason === "signal";
    await Promise.all([
      this.#step("ending commands", () => endCommands?.(hasGrace ? COMMANDS_GRACE_MS : 0)),
      this.#step("closing forwards", () => this.forwards.closeAll(0)),
    ]);
    emit(
      agentEnding,
      { reason: end.reason, ...(end.error === undefined ? {} : { error: toWire(end.error) }) },
      { keep: true },
    );
    await this.#step("leaving", () => onEnding?.(end));
    await Promise.all([
      this.#step("closing hops", () => this.#routes.close()),
      this.#step("closing the control channel", closeControl),
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

/** Throws `protocol.version` where `hello` names a version that this agent does not speak. */
export function checkVersion({ protocol }: OrchestratorHello): void {
  negotiate(PROTOCOL_VERSIONS, { min: protocol, max: protocol });
}

/** `error` for the log. */
export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
