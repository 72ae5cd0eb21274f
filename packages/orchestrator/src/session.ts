import {
  type AgentDescription,
  abortable,
  CodedError,
  type Receipt,
  type SessionEvent,
  type SessionEventOf,
  toCodedError,
} from "@farside/protocol";
import { commandEnvironment } from "./command-environment.ts";
import type { Engine } from "./engine/engine.ts";
import type { EventLog, SessionEventDraft, SessionEventListener } from "./event-log.ts";
import { finishSession } from "./finish-session.ts";
import { type ForwardCounters, zeroCounters } from "./forward-counters.ts";
import { leaveSession } from "./leave-session.ts";
import { LiveRecord } from "./live-record.ts";
import { removeReadyFile, writeReadyFile } from "./ready-file.ts";
import { makeReceipt } from "./receipt.ts";
import type { RemoteCommand, RunOptions } from "./remote-command.ts";
import { auditEvent } from "./session-audit.ts";
import { SessionConnection } from "./session-connection.ts";
import type { SessionEnd } from "./session-end.ts";
import { SessionLink } from "./session-link.ts";
import { forwardFields, type OpenForward, type SessionPlan } from "./session-plan.ts";
import { SessionProgress } from "./session-progress.ts";
import { isRunning, type SessionState } from "./session-state.ts";
import { respectSshdPolicy } from "./sshd-policy.ts";
import { tracesOf } from "./traces.ts";

export interface CloseOptions {
  /** What open relays get to finish, in ms; default: as the session was started with. */
  readonly graceMs?: number | undefined;
}

/**
 * One session, from its first hop to torn down. It starts by itself, ends when it is closed or fails, and in every case
 * tears down first and tells afterwards. Whoever starts it closes it.
 */
export class Session implements AsyncDisposable {
  readonly name: string;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** Resolves when every forward is open. Rejects, after the teardown, with why it never was (`canceled`: it was closed). */
  readonly ready: Promise<void>;
  /** Resolves when everything is over; never rejects. */
  readonly closed: Promise<SessionEnd>;
  readonly #plan: SessionPlan;
  readonly #log: EventLog;
  readonly #forwards: OpenForward[] = [];
  readonly #progress: SessionProgress;
  readonly #live: LiveRecord;
  readonly #killed = new AbortController();
  readonly #connection: SessionConnection;
  readonly #link: SessionLink;
  #engine: Engine | undefined;
  #wasReady = false;
  #startedAt = 0;
  #settleReady: { resolve: () => void; reject: (error: CodedError) => void } | undefined;

  /** Starts a session; `plan` is its own from now on, and `log` gets its events and is ended with it. */
  constructor(plan: SessionPlan, log: EventLog) {
    this.#plan = plan;
    this.#log = log;
    this.name = plan.name;
    this.host = plan.host;
    this.#progress = new SessionProgress(({ phase }) => plan.folder.update({ phase }));
    log.subscribe((event) => auditEvent(plan.audit, this, event));
    this.#live = new LiveRecord({
      describe: (signal) => this.describe({ signal }),
      folder: plan.folder,
      forwardIds: () => new Set(this.#forwards.map(({ id }) => id)),
    });
    log.subscribe((event) => this.#live.hear(event));
    this.#connection = new SessionConnection({
      ...{ plan, emit: this.#emit },
      onLost: (failure) => this.#link.lost(failure),
    });
    this.#link = new SessionLink({
      ...{ plan, emit: this.#emit, progress: this.#progress, connection: this.#connection },
      reattach: () => this.#engine?.reattach,
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    log.subscribe((event) => event.event === "card.state" && this.#cardMoved(event.state));
    // Who only waits for `closed` learns the same there.
    this.ready.catch(() => {});
    this.closed = this.#run();
  }

  get state(): SessionState {
    return this.#progress.state;
  }

  /** The forwards that are open so far. */
  get forwards(): readonly OpenForward[] {
    return this.#forwards;
  }

  /** What went through the session so far; bytes are those of ended relays. */
  get counters(): ForwardCounters {
    return this.#engine?.counters ?? zeroCounters();
  }

  /** What the agent is and does now, with the bytes of open relays. Rejects with `agent.gone` where there is none. */
  async describe(options: { readonly signal: AbortSignal }): Promise<AgentDescription> {
    if (this.#engine === undefined) throw new CodedError("agent.gone", "there is no agent", { leg: "jump" });
    return this.#engine.describe(options.signal);
  }

  /**
   * Runs a command on the jump host, in a process group of its own; `FARSIDE_PORT_1` … are in its environment. It ends with the
   * session at the latest. Throws `usage.invalid`, and `agent.gone` where the session is not ready.
   */
  run(argv: readonly string[], options: RunOptions = {}): RemoteCommand {
    if (this.#engine === undefined || this.state.phase !== "ready")
      throw new CodedError("agent.gone", "running a command: the session is not ready", { leg: "jump" });
    const environment = { ...commandEnvironment(this.name, this.#forwards), ...options.environment };
    return this.#engine.run(argv, { ...options, environment });
  }

  /** Calls `listener` with each event from now on. */
  subscribe(listener: SessionEventListener): () => void {
    return this.#log.subscribe(listener);
  }

  /** The events from now on, until the session is closed. */
  events(): AsyncIterableIterator<SessionEvent> {
    return this.#log.read();
  }

  /**
   * Ends the session: listeners close at once, open relays get `graceMs`. Resolves when all is over, with
   * how it ended. Idempotent: the first call's grace counts, unless `escalate` ends it.
   */
  close({ graceMs = this.#plan.graceMs }: CloseOptions = {}): Promise<SessionEnd> {
    this.#progress.dispatch({ type: "stop", graceMs });
    return this.closed;
  }

  /**
   * Leaves the agent to itself, with all that is open, until `ttlMs` after its start; `closed` then resolves without a receipt. For sessions
   * with `detach`. Rejects where the session is not ready or the agent can't be left, or with the signal's reason; the session then goes on.
   */
  async detach({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const detach = this.#engine?.detach;
    if (detach === undefined || this.state.phase !== "ready")
      throw new CodedError("agent.gone", "leaving the agent to itself: the session is not ready for it", {
        leg: "jump",
      });
    await detach(signal);
    this.#progress.dispatch({ type: "detached" });
    await this.closed;
  }

  /** Ends the session without grace, also one that is in its grace now. */
  escalate(): void {
    this.#progress.dispatch({ type: "escalate" });
  }

  /** Drops everything at once. The receipt says that nobody looked. */
  kill(): void {
    this.escalate();
    const reason = new CodedError("canceled", "the session was killed");
    this.#killed.abort(reason);
    this.#connection.hop?.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<SessionEnd> {
    // After the constructor, so that its caller can subscribe.
    await Promise.resolve();
    const late = this.#plan.startDeadline.signal;
    late.addEventListener("abort", () => this.#progress.dispatch({ type: "failed", failure: late.reason }), {
      once: true,
    });
    try {
      await this.#start(this.#progress.leaving);
      this.#becomeReady();
    } catch (error) {
      if (isRunning(this.state)) this.#progress.dispatch({ type: "failed", failure: toCodedError(error) });
    }
    await this.#progress.left();
    this.#live[Symbol.dispose]();
    this.#plan.startDeadline[Symbol.dispose]();
    await removeReadyFile(this.#plan.readyFile);
    if (this.state.phase === "detached") {
      const { counters } = this;
      await this.#connection.close();
      return leaveSession({ plan: this.#plan, log: this.#log, counters, startedAt: this.#startedAt });
    }
    if (this.#wasReady) await this.#link.recover(this.#killed.signal);
    await this.#endEngine();
    this.#progress.dispatch({ type: "agent-ended" });
    const receipt = await this.#look();
    this.#progress.dispatch({ type: "looked", ...(receipt && { receipt }) });
    await this.#connection.close();
    const { state, counters } = this;
    const ended = { plan: this.#plan, log: this.#log, state, counters, wasReady: this.#wasReady, receipt };
    const end = await finishSession(ended);
    if (end.failure !== undefined) this.#settleReady?.reject(end.failure);
    this.#log.end();
    return end;
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { plan, host, emit } = { plan: this.#plan, host: this.host, emit: this.#emit };
    const hop = await this.#connection.open(signal);
    signal.throwIfAborted();
    const route = await abortable(plan.route(signal), signal);
    if (plan.respectSshdPolicy) {
      const [first] = route;
      const destinations =
        first === undefined
          ? plan.forwards.map(({ target }) => target)
          : [{ kind: "tcp" as const, host: first.host, port: first.port }];
      await respectSshdPolicy({ hop, host, destinations, signal });
    }
    this.#progress.dispatch({ type: "connected" });
    const engine = plan.engine({
      ...{ session: this.name, host, hop, route, emit },
      onFailure: (failure) => this.#progress.dispatch({ type: "failed", failure }),
      onLinkLost: (failure) => this.#link.lost(failure),
    });
    this.#engine = engine;
    await engine.start(signal);
    this.#startedAt = Date.now();
    this.#progress.dispatch({ type: "agent-answered", forwards: plan.forwards.length });
    if (route.length > 0) plan.startDeadline.about("hop");
    await engine.open({ signal, onOpen: (forward) => this.#opened(forward) });
    signal.throwIfAborted();
    // Who waits for it to be ready, and then asks for its status, sees that it is.
    await plan.folder.saved();
    if (plan.readyFile !== undefined) {
      const forwards = this.#forwards.map(forwardFields);
      await writeReadyFile(plan.readyFile, { session: this.name, pid: process.pid, host, forwards });
    }
    signal.throwIfAborted();
  }

  #opened(forward: OpenForward): void {
    this.#forwards.push(forward);
    const fields = forwardFields(forward);
    this.#plan.folder.update({ forwards: this.#forwards.map(forwardFields) });
    this.#emit({ event: "forward.open", ...fields });
    this.#progress.dispatch({ type: "forward-opened" });
  }

  #becomeReady(): void {
    this.#plan.startDeadline[Symbol.dispose]();
    this.#wasReady = true;
    this.#emit({ event: "ready", session: this.name, forwards: this.#forwards.map(forwardFields) });
    this.#settleReady?.resolve();
  }

  #cardMoved(card: SessionEventOf<"card.state">["state"]): void {
    this.#plan.folder.update({ card });
    if (card !== "removed" || !this.#plan.endsWithoutCard) return;
    const failure = new CodedError("card.removed", "the card was taken out, which ends the session", {
      leg: "card",
      hint: "That is what --on-card-removal close asks for.",
    });
    this.#progress.dispatch({ type: "failed", failure });
  }

  async #endEngine(): Promise<void> {
    const graceMs = this.state.phase === "draining" ? this.state.graceMs : 0;
    await this.#engine?.end({ graceMs, escalated: this.#progress.escalated });
  }

  async #look(): Promise<Receipt | undefined> {
    const traces = tracesOf(this.#plan.folder.undo);
    if (traces === undefined) return undefined;
    const leaseS = this.#plan.leaseMs / 1000;
    return makeReceipt({
      ...{ session: this.name, host: this.host, traces, signal: this.#killed.signal },
      ...(this.#connection.isLost
        ? {
            hop: undefined,
            whyNot: `the connection to it is gone; its agent ends when its lease of ${leaseS} s is over`,
          }
        : { hop: this.#connection.hop }),
    });
  }

  readonly #emit = (event: SessionEventDraft): void => {
    this.#log.emit(event);
    if (event.event.startsWith("relay.")) this.#plan.folder.updateLate(this.#recordedCounters);
  };

  readonly #recordedCounters = () => {
    const { refusedRelays: _, ...counters } = this.counters;
    return counters;
  };
}
