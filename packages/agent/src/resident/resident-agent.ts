import os from "node:os";
import {
  abortable,
  agentHello,
  CodedError,
  deadline,
  detachAgent,
  eventsDropped,
  handle,
  isCodedError,
  METRICS_PLACE,
  type MessageStream,
  type OrchestratorHello,
  on,
  openMetrics,
  orchestratorHello,
  type ParamsOf,
  Peer,
  PROTOCOL_VERSIONS,
  type RequestHandler,
  type ResultOf,
} from "@farside/protocol";
import { AgentCore, checkVersion, stackOf } from "../agent-core.ts";
import type { AgentEnd } from "../agent-end.ts";
import { agentVersion } from "../agent-version.ts";
import { answerRequests, type TakeOverRequest } from "../control/answer-requests.ts";
import { ControlServer } from "../control/control-server.ts";
import { MetricsServer } from "../control/metrics-server.ts";
import { leaveRunDirectory, makePrivate } from "../control/run-directory.ts";
import type { HostFacts } from "../host-facts.ts";
import type { Log } from "../log.ts";
import { logEvent } from "../log-event.ts";
import { openTakingOver, type TakenOver } from "../takeover/open-taking-over.ts";
import { Attachment } from "./attachment.ts";
import type { LogFile } from "./log-file.ts";

/** The orchestrator that started it is about to attach. */
const FIRST_HELLO_TIMEOUT_MS = 30_000;
const LISTEN_ATTEMPTS = 3;
/** How long the last messages may take to somebody who has let the lease expire. */
const UNANSWERED_CLOSE_MS = 500;
const CAPABILITIES = ["unix-listener", "uid-check", "hops", "resident", "metrics"] as const;
/** Requests that any process of the user may make; all others are the attached orchestrator's. */
const OPEN_TO_ALL: ReadonlySet<string> = new Set(["agent.describe", "agent.stop"]);

export interface ResidentAgentOptions {
  /** Marks the processes of this agent; see `RUN_VARIABLE`. */
  readonly nonce: string;
  /** SHA-256 of the bundle, hex. */
  readonly digest: string;
  /** The session that may attach. */
  readonly session: string;
  /** A private folder, for the control socket; left at the end. */
  readonly runDirectory: string;
  readonly facts: HostFacts;
  readonly log: Log;
  /** Where `log` writes to; begun once the session's name is ours, removed at the end. Default: it goes elsewhere. */
  readonly logFile?: LogFile | undefined;
  readonly firstHelloTimeoutMs?: number;
  /** Shows others until when the lease is held; see `AgentCoreOptions`. */
  readonly onLease?: ((session: string, until: number | "never") => void) | undefined;
}

/**
 * An agent that outlives its control channels: they come and go on its control socket. The newest that says the session's
 * hello is the orchestrator's; others may ask what the agent does, and stop it. It ends for the first of these reasons: a
 * lease that nobody renewed, --ttl, --idle, `agent.stop`, or `end()`.
 */
export class ResidentAgent {
  readonly ending: Promise<AgentEnd>;
  readonly ended: Promise<AgentEnd>;
  readonly #options: ResidentAgentOptions;
  readonly #core: AgentCore;
  readonly #attachment: Attachment;
  readonly #channels = new Set<Peer>();
  readonly #helloTimer: NodeJS.Timeout;
  #server: ControlServer | undefined;
  #graceMs = 0;
  #isStopping = false;
  #metrics: MetricsServer | undefined;
  #isMetricsAsked = false;

  /** Rejects as `ControlServer.open` does, having left nothing. */
  static async start(options: ResidentAgentOptions): Promise<ResidentAgent> {
    const agent = new ResidentAgent(options);
    try {
      await agent.#listen();
      await options.logFile?.begin();
      return agent;
    } catch (error) {
      agent.end({ reason: "fatal" });
      await agent.ended;
      throw error;
    }
  }

  private constructor(options: ResidentAgentOptions) {
    this.#options = options;
    const { nonce, facts, log } = options;
    this.#attachment = new Attachment(() => this.#core.lifetime?.isDetached !== true);
    this.#core = new AgentCore({
      ...{ nonce, facts, log, request: this.#attachment.request },
      emit: (definition, data, emitOptions) => {
        logEvent(log, definition, data);
        this.#attachment.emit(definition, data, emitOptions);
      },
      droppedEvents: () => this.#attachment.dropped,
      onLease: options.onLease,
      closeControl: () => this.#closeControl(),
    });
    this.#helloTimer = setTimeout(() => {
      const error = new CodedError("timeout", "waiting for the orchestrator's hello took too long");
      this.end({ reason: "fatal", error });
    }, options.firstHelloTimeoutMs ?? FIRST_HELLO_TIMEOUT_MS);
    this.ending = this.#core.ending;
    this.ended = this.#core.ended;
    void this.ending.then(() => clearTimeout(this.#helloTimer));
  }

  /** Path of the control socket. */
  get control(): string {
    return `${this.#options.runDirectory}/${this.#options.session}.sock`;
  }

  /** Ends the agent; the first reason counts. */
  end(reason: AgentEnd): void {
    this.#core.end(reason);
  }

  /** The same for a signal: listeners close at once, relays get the grace that the orchestrator has said. A further call ends it at once. */
  stop(reason: AgentEnd): void {
    if (this.#isStopping) {
      this.end(reason);
      return;
    }
    this.#isStopping = true;
    this.#options.log.info("stopping", { reason: reason.reason, graceMs: this.#graceMs });
    void this.#core.forwards
      .closeAll(this.#graceMs)
      .catch(() => undefined)
      .then(() => this.end(reason));
  }

  async #listen(): Promise<void> {
    const { log, session, runDirectory, facts } = this.#options;
    const onRequest = answerRequests({
      facts: () => this.#core.facts(session, this.#attachment.dropped),
      onTakeOver: (request) => this.#giveWay(request),
    });
    for (let attempt = 1; this.#server === undefined; attempt += 1) {
      try {
        await makePrivate(runDirectory, facts.uid);
        this.#server = await ControlServer.open({
          ...{ path: this.control, onRequest },
          onChannel: (stream) => this.#serve(stream),
          onError: (error) => log.error("the control socket failed", { error: stackOf(error) }),
        });
      } catch (error) {
        // Another agent that ends may just have removed the folder, which was empty.
        const mayHaveGone = isCodedError(error) && error.code === "forward.bind-refused";
        if (!mayHaveGone || attempt === LISTEN_ATTEMPTS) throw error;
      }
    }
  }

  /** Another session takes its place: a session's agent that has lost one of its ports has lost its reason. */
  async #giveWay({ by, address }: TakeOverRequest): Promise<boolean> {
    const { log } = this.#options;
    const isOurs = this.#core.forwards.at(address) !== undefined || this.#metrics?.isAt(address) === true;
    if (!isOurs) return false;
    log.warn("a port was taken over, this agent ends", { by, address });
    await Promise.all([this.#core.forwards.closeAll(0), this.#metrics?.close()]);
    // Not before it is answered.
    setImmediate(() => this.end({ reason: "signal", signalNumber: os.constants.signals.SIGTERM }));
    return true;
  }

  #serve(stream: MessageStream): void {
    const { nonce, digest, facts, log } = this.#options;
    const peer: Peer = new Peer(stream, {
      requests: this.#requestsOf(() => this.#attachment.channel === peer),
      events: [on(orchestratorHello, (hello) => this.#attach(peer, hello))],
      onEventsDropped: (count) => peer.emit(eventsDropped, { count }, { keep: true }),
      onBug: (error, where) => log.error("a bug", { where, error: stackOf(error) }),
    });
    this.#channels.add(peer);
    void peer.closed.then((error) => {
      this.#channels.delete(peer);
      log.info("a control channel ended", { code: error?.code, error: error?.message });
    });
    const hello = { protocol: PROTOCOL_VERSIONS, agentVersion, digest, capabilities: [...CAPABILITIES] };
    peer.emit(
      agentHello,
      { ...hello, ...facts, resident: { run: nonce, control: this.control } },
      { keep: true },
    );
  }

  #requestsOf(isAttached: () => boolean): RequestHandler[] {
    const detach = handle(detachAgent, () => {
      this.#core.requireSession().detach();
      return {};
    });
    const metrics = handle(openMetrics, (params) => this.#openMetrics(params));
    return [...this.#core.service, detach, metrics].map((handler) =>
      OPEN_TO_ALL.has(handler.name) ? handler : onlyWhere(isAttached, handler),
    );
  }

  async #openMetrics({
    port,
    takeOver,
  }: ParamsOf<typeof openMetrics>): Promise<ResultOf<typeof openMetrics>> {
    const { session, facts, log } = this.#options;
    this.#core.requireSession();
    if (this.#isMetricsAsked)
      throw new CodedError("protocol.bad-message", "the port for metrics is asked for a second time");
    this.#isMetricsAsked = true;
    try {
      const { uid } = facts;
      const onTaken = (taken: TakenOver) => this.#core.forwards.tellTaken(METRICS_PLACE, taken);
      const metrics = await MetricsServer.open({
        ...{ uid, log, facts: () => this.#core.facts(session, this.#attachment.dropped) },
        openListener: (options) =>
          openTakingOver({ kind: "loopback", port }, options, { uid, request: takeOver, onTaken }),
      });
      this.#metrics = metrics;
      // Which may have come meanwhile.
      void this.ending.then(() => metrics.close());
      return { bound: [...metrics.bound] };
    } catch (error) {
      this.#isMetricsAsked = false;
      throw error;
    }
  }

  #attach(peer: Peer, hello: OrchestratorHello): void {
    const { session, log } = this.#options;
    try {
      checkVersion(hello);
      if (hello.session !== session) throw new Error("a hello for another session");
      if (this.#core.lifetime === undefined) this.#begin(hello);
    } catch (error) {
      log.warn("a control channel was refused", { error: (error as Error).message });
      void peer.close();
      return;
    }
    clearTimeout(this.#helloTimer);
    this.#graceMs = hello.graceMs ?? 0;
    this.#core.lifetime?.renew();
    const previous = this.#attachment.attach(peer);
    this.#core.forwards.pump();
    log.info("an orchestrator attached", { session, isAgain: previous !== undefined });
    // Behind a dead link nobody says goodbye.
    for (const other of this.#channels) if (other === previous && other !== peer) void other.close();
  }

  #begin(hello: OrchestratorHello): void {
    this.#core.begin(hello);
    // Nobody reads along: what a quiet orchestrator would not hear is what it is for.
    this.#options.log.setLevel(hello.logLevel === "debug" ? "debug" : "info");
  }

  async #closeControl(): Promise<void> {
    await Promise.all([this.#metrics?.close(), this.#closeChannels()]);
    await this.#server?.close();
    await this.#options.logFile?.remove();
    await leaveRunDirectory(this.#options.runDirectory);
  }

  /** The channels end with the process at the latest. */
  async #closeChannels(): Promise<void> {
    const closed = Promise.all([...this.#channels].map((peer) => peer.close()));
    const { reason } = await this.ending;
    if (reason !== "lease-expired") return void (await closed);
    // Behind a dead link, and in a process that is stopped, nobody answers a goodbye; its bridge then has to wait for just that.
    const limit = deadline(UNANSWERED_CLOSE_MS, "closing the control channels took too long");
    await abortable(closed, limit.signal).catch(() => undefined);
    limit.release();
  }
}

/** `handler` for channels that are the orchestrator's; a request of any other is refused. */
function onlyWhere(isAttached: () => boolean, handler: RequestHandler): RequestHandler {
  return {
    name: handler.name,
    accept: (params, context) => {
      if (isAttached()) return handler.accept(params, context);
      return Promise.reject(new CodedError("protocol.bad-message", "a request of one who is not attached"));
    },
  };
}
