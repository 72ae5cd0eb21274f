import { rename, rm } from "node:fs/promises";
import {
  agentHello,
  applyConfig,
  CodedError,
  describeInstalled,
  handle,
  type InstalledConfig,
  type InstalledDescription,
  lendIdentity,
  type MessageStream,
  type ParamsOf,
  Peer,
  PROTOCOL_VERSIONS,
  type RequestHandler,
  type ResultOf,
  upgradeInstalled,
} from "@farside/protocol";
import { AgentCore, stackOf } from "../agent-core.ts";
import type { AgentEnd } from "../agent-end.ts";
import { agentVersion } from "../agent-version.ts";
import { type AgentFacts, answerRequests } from "../control/answer-requests.ts";
import { ControlServer } from "../control/control-server.ts";
import type { HostFacts } from "../host-facts.ts";
import type { Log } from "../log.ts";
import { logEvent } from "../log-event.ts";
import type { FolderPlaces } from "./agent-folder.ts";
import { connectKeptHop } from "./connect-kept-hop.ts";
import { METRICS_HEIRLOOM } from "./inheritance.ts";
import { InstalledAudit } from "./installed-audit.ts";
import { KeptForwards } from "./kept-forwards.ts";
import { KeptMetrics } from "./kept-metrics.ts";
import { LentIdentities } from "./lent-identities.ts";
import { replaceFile } from "./replace-file.ts";
import { startSuccessor } from "./successor.ts";

const CAPABILITIES = ["unix-listener", "uid-check", "hops", "installed", "metrics"] as const;

export interface InstalledAgentOptions {
  readonly places: FolderPlaces;
  /** Marks its processes; see `RUN_VARIABLE`. */
  readonly run: string;
  /** SHA-256 of the bundle's file, hex. */
  readonly digest: string;
  readonly home: string;
  readonly config: InstalledConfig;
  readonly facts: HostFacts;
  readonly log: Log;
  /** Sockets of a predecessor that still serves, by forward. */
  readonly inherited?: ReadonlyMap<string, readonly number[]> | undefined;
}

/**
 * An agent that stays: it does what its configuration says until it is told otherwise, with nobody attached. Workstations
 * come and go on its control socket; they ask, change the configuration, and lend it identities.
 */
export class InstalledAgent {
  readonly ending: Promise<AgentEnd>;
  readonly ended: Promise<AgentEnd>;
  /** Path of its control socket now. */
  control: string;
  readonly #options: InstalledAgentOptions;
  readonly #core: AgentCore;
  readonly #lent = new LentIdentities();
  readonly #audit: InstalledAudit;
  readonly #channels = new Set<Peer>();
  readonly #watchers = new Set<Peer>();
  readonly #kept: KeptForwards;
  readonly #metrics: KeptMetrics;
  #server: ControlServer | undefined;
  #isHandingOver = false;

  /** Listens on its control socket, and begins to open its forwards. Rejects as `ControlServer.open` does. */
  static async start(options: InstalledAgentOptions): Promise<InstalledAgent> {
    const agent = new InstalledAgent(options);
    try {
      await agent.#listen();
      agent.#audit.started(options.digest);
    } catch (error) {
      agent.end({ reason: "fatal" });
      await agent.ended;
      throw error;
    }
    agent.#kept.open(options.inherited);
    // A successor answers for itself only when it serves.
    if (options.inherited === undefined) void agent.#metrics.set(options.config.metricsPort);
    return agent;
  }

  private constructor(options: InstalledAgentOptions) {
    this.#options = options;
    const { run, facts, log, places, home } = options;
    this.control = options.inherited === undefined ? places.control : `${places.control}.next`;
    this.#audit = new InstalledAudit(places.folder, (error) =>
      log.warn("the audit log can't be written", { error: stackOf(error) }),
    );
    this.#core = new AgentCore({
      ...{ nonce: run, facts, log },
      emit: (definition, data, emitOptions) => {
        logEvent(log, definition, data);
        this.#audit.hear(definition, data);
        for (const peer of this.#watchers) peer.emit(definition, data, emitOptions);
      },
      request: () => Promise.reject(new Error("an installed agent asks who has lent")),
      connectHop: connectKeptHop({
        ...{ lent: this.#lent, home, hop: (hopId) => this.#kept.hop(hopId) },
        onWaiting: ({ user, host }, isWaiting) =>
          log.info(isWaiting ? "hop waits for somebody to attach" : "hop no longer waits", {
            hop: `${user}@${host}`,
          }),
      }),
      mayRelay: () => true,
      droppedEvents: () => 0,
      onBound: (forwardId, bound) => this.#audit.bound(forwardId, bound),
      onEnding: ({ reason }) => this.#audit.close(reason),
      closeControl: () => this.#closeControl(),
    });
    this.#metrics = new KeptMetrics({ facts: () => this.#facts, uid: facts.uid, log });
    this.#kept = new KeptForwards({
      ...{ config: options.config, table: this.#core.forwards, home, log },
      setMetricsPort: (port) => this.#metrics.set(port),
      save: (config) => replaceFile(places.config, `${JSON.stringify(config)}\n`),
    });
    this.ending = this.#core.ending;
    this.ended = this.#core.ended;
  }

  get #facts(): AgentFacts {
    return { ...this.#core.facts(this.#options.places.name, 0), forwards: this.#kept.counters };
  }

  /** Resolves when every listener is open or has failed to be, at the latest after 15 s. */
  async listened(): Promise<void> {
    await Promise.all([this.#kept.listened(), this.#metrics.tried()]);
  }

  /**
   * Of a successor: resolves when it serves every forward that it can, or after `timeoutMs`; then it serves the others too, as
   * far as it gets without their hops, and its control socket is where the predecessor's was.
   */
  async takeOver(timeoutMs: number): Promise<void> {
    await this.#kept.served(timeoutMs);
    const { inherited } = this.#options;
    await this.#metrics.set(this.#kept.config.metricsPort, inherited?.get(METRICS_HEIRLOOM));
    await this.#audit.upgraded();
    const { control } = this.#options.places;
    await rename(this.control, control);
    this.control = control;
  }

  end(reason: AgentEnd): void {
    this.#kept.end();
    this.#core.end(reason);
  }

  #apply(params: ParamsOf<typeof applyConfig>): Promise<ResultOf<typeof applyConfig>> {
    if (!this.#isHandingOver) return this.#kept.apply(params);
    const message = "applying a configuration: the agent is handing over to a new one";
    throw new CodedError("timeout", message, { leg: "jump", hint: "Try again when the upgrade is done." });
  }

  get #description(): InstalledDescription {
    const { head } = this.#audit;
    const metrics = this.#metrics.state;
    return {
      config: this.#kept.config,
      forwards: this.#kept.states,
      isServing: this.control === this.#options.places.control,
      ...{ waitingHops: this.#lent.waitingHops, lenders: this.#lent.lenders },
      ...(head && { audit: head }),
      ...(metrics && { metrics }),
    };
  }

  async #handOver({
    bundle,
    graceMs,
  }: ParamsOf<typeof upgradeInstalled>): Promise<ResultOf<typeof upgradeInstalled>> {
    if (this.#isHandingOver) throw new Error("an upgrade is under way already");
    const { places, log } = this.#options;
    this.#isHandingOver = true;
    try {
      const { pid, control, ready } = await startSuccessor({
        command: [bundle, "serve", places.folder],
        heirlooms: [
          ...this.#kept.heirlooms,
          { forwardId: METRICS_HEIRLOOM, descriptors: this.#metrics.descriptors },
        ],
      });
      void ready.then(
        () => this.#retire(graceMs),
        (error) => {
          this.#isHandingOver = false;
          log.error("the new agent failed, this one goes on", { error: (error as Error).message });
        },
      );
      return { pid, control };
    } catch (error) {
      this.#isHandingOver = false;
      throw error;
    }
  }

  /** The successor serves: what is accepted goes on to its end, within the grace. */
  async #retire(graceMs: number): Promise<void> {
    const { forwards } = this.#core;
    this.#options.log.info("another process serves from now on", {
      openRelays: forwards.openRelays,
      graceMs,
    });
    this.#kept.giveUpWaiting();
    await Promise.all([forwards.releaseAll(), this.#metrics.release()]);
    await forwards.closeAll(graceMs);
    this.#core.end({ reason: "stopped" });
  }

  async #listen(): Promise<void> {
    const { log } = this.#options;
    this.#server = await ControlServer.open({
      path: this.control,
      onChannel: (stream) => this.#serve(stream),
      onError: (error) => log.error("the control socket failed", { error: stackOf(error) }),
      onRequest: answerRequests({ facts: () => this.#facts }),
    });
  }

  #serve(stream: MessageStream): void {
    const { digest, facts, log, run } = this.#options;
    const peer: Peer = new Peer(stream, {
      requests: this.#requests((hops) => {
        this.#lent.lend({ peer, hops });
        this.#watchers.add(peer);
        return { waitingHops: this.#lent.waitingHops };
      }),
      onBug: (error, where) => log.error("a bug", { where, error: stackOf(error) }),
    });
    this.#channels.add(peer);
    void peer.closed.then((error) => {
      this.#channels.delete(peer);
      this.#watchers.delete(peer);
      if (error !== undefined)
        log.info("a control channel ended", { code: error.code, error: error.message });
    });
    const hello = { protocol: PROTOCOL_VERSIONS, agentVersion, digest, capabilities: [...CAPABILITIES] };
    peer.emit(agentHello, { ...hello, ...facts, resident: { run, control: this.control } }, { keep: true });
  }

  #requests(
    lend: (hops: ReadonlyMap<string, readonly Uint8Array[]>) => ResultOf<typeof lendIdentity>,
  ): RequestHandler[] {
    return [
      ...this.#core.service.filter(({ name }) => name === "agent.describe"),
      handle(describeInstalled, () => this.#description),
      handle(applyConfig, (params) => this.#apply(params)),
      handle(lendIdentity, ({ hops }) =>
        lend(new Map(hops.map(({ hopId, publicKeys }) => [hopId, publicKeys]))),
      ),
      handle(upgradeInstalled, (params) => this.#handOver(params)),
    ];
  }

  async #closeControl(): Promise<void> {
    await Promise.all([this.#metrics.close(), ...[...this.#channels].map((peer) => peer.close())]);
    await this.#server?.close();
    // A successor's is there instead.
    if (!this.#isHandingOver) await rm(this.control, { force: true });
  }
}
