import { rename, rm } from "node:fs/promises";
import {
  agentHello,
  applyConfig,
  configDifference,
  describeInstalled,
  type ForwardState,
  handle,
  type InstalledConfig,
  type InstalledDescription,
  type KeptForwardState,
  lendIdentity,
  type MessageStream,
  type ParamsOf,
  Peer,
  PROTOCOL_VERSIONS,
  type RequestHandler,
  type ResultOf,
  toWire,
  upgradeInstalled,
} from "@farside/protocol";
import { AgentCore, stackOf } from "../agent-core.ts";
import type { AgentEnd } from "../agent-end.ts";
import { agentVersion } from "../agent-version.ts";
import { answerRequests, type TakeOverRequest } from "../control/answer-requests.ts";
import { ControlServer } from "../control/control-server.ts";
import type { HostFacts } from "../host-facts.ts";
import type { Log } from "../log.ts";
import type { FolderPlaces } from "./agent-folder.ts";
import { connectKeptHop, keptHops } from "./connect-kept-hop.ts";
import { InstalledAudit } from "./installed-audit.ts";
import { KeptForward } from "./kept-forward.ts";
import { LentIdentities } from "./lent-identities.ts";
import { logEvent } from "./log-event.ts";
import { replaceFile } from "./replace-file.ts";
import { startSuccessor } from "./successor.ts";

/** How long starting listeners may hold up an answer; they go on. */
const LISTEN_TIMEOUT_MS = 15_000;
const CAPABILITIES = ["unix-listener", "uid-check", "hops", "installed"] as const;

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
  #config: InstalledConfig;
  #kept: KeptForward[] = [];
  #hops: ReturnType<typeof keptHops>;
  #server: ControlServer | undefined;
  #isHandingOver = false;
  #applying: Promise<unknown> = Promise.resolve();

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
    agent.#keep(options.config, options.inherited);
    return agent;
  }

  private constructor(options: InstalledAgentOptions) {
    this.#options = options;
    const { run, facts, log, places, home } = options;
    this.#config = options.config;
    this.#hops = keptHops(options.config.forwards);
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
        ...{ lent: this.#lent, home, hop: (hopId) => this.#hops.get(hopId) },
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
    this.ending = this.#core.ending;
    this.ended = this.#core.ended;
  }

  /** Resolves when every listener is open or has failed to be, at the latest after 15 s. */
  async listened(): Promise<void> {
    await within(LISTEN_TIMEOUT_MS, Promise.all(this.#kept.map(({ listened }) => listened)));
  }

  /**
   * Of a successor: resolves when it serves every forward that it can, or after `timeoutMs`; then it serves the others too, as
   * far as it gets without their hops, and its control socket is where the predecessor's was.
   */
  async takeOver(timeoutMs: number): Promise<void> {
    await within(timeoutMs, Promise.all(this.#kept.map(({ settled }) => settled)));
    for (const forward of this.#kept) forward.listenNow();
    await this.listened();
    const { control } = this.#options.places;
    await rename(this.control, control);
    this.control = control;
  }

  end(reason: AgentEnd): void {
    for (const forward of this.#kept.splice(0)) void forward.retire(0);
    this.#core.end(reason);
  }

  #keep(config: InstalledConfig, inherited?: ReadonlyMap<string, readonly number[]>): void {
    const { home, log } = this.#options;
    const kept = new Map(this.#kept.map((forward) => [forward.config.id, forward]));
    this.#config = config;
    this.#hops = keptHops(config.forwards);
    this.#kept = config.forwards.map(
      (forward) =>
        kept.get(forward.id) ??
        new KeptForward({
          ...{
            config: forward,
            table: this.#core.forwards,
            home,
            log,
            inherited: inherited?.get(forward.id),
          },
        }),
    );
  }

  /** One after the other; the file first, for it is what a restart goes by. */
  #apply(params: ParamsOf<typeof applyConfig>): Promise<ResultOf<typeof applyConfig>> {
    const applying = this.#applying.catch(() => undefined).then(() => this.#applyNow(params));
    this.#applying = applying;
    return applying;
  }

  async #applyNow({ config, graceMs }: ParamsOf<typeof applyConfig>): Promise<ResultOf<typeof applyConfig>> {
    const { places, log } = this.#options;
    const { forwards } = configDifference(this.#config, config);
    await replaceFile(places.config, `${JSON.stringify(config)}\n`);
    const isKept = (id: string) => forwards.some((each) => each.id === id && each.change === "unchanged");
    for (const forward of this.#kept) if (!isKept(forward.config.id)) void forward.retire(graceMs);
    this.#kept = this.#kept.filter(({ config: { id } }) => isKept(id));
    this.#keep(config);
    log.info("configuration applied", {
      changes: forwards.filter(({ change }) => change !== "unchanged").length,
    });
    const failures = new Map<string, unknown>();
    await within(
      LISTEN_TIMEOUT_MS,
      Promise.all(
        this.#kept.map(async ({ config: { id }, listened }) => {
          const error = await listened;
          if (error !== undefined && !isKept(id)) failures.set(id, error);
        }),
      ),
    );
    return {
      changes: forwards.map(({ id, change }) => ({
        ...{ id, change },
        ...(failures.has(id) && { error: toWire(failures.get(id)) }),
      })),
    };
  }

  get #description(): InstalledDescription {
    const { head } = this.#audit;
    const counters = new Map(this.#core.forwards.counters.map((each) => [each.forwardId, each]));
    return {
      config: this.#config,
      forwards: this.#kept.map((forward): KeptForwardState => {
        const { id } = forward.config;
        const { openRelays = 0, totalRelays = 0, state } = counters.get(id) ?? {};
        return { id, openRelays, totalRelays, ...stateOf(forward, state) };
      }),
      isServing: this.control === this.#options.places.control,
      ...{ waitingHops: this.#lent.waitingHops, lenders: this.#lent.lenders },
      ...(head && { audit: head }),
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
      const heirlooms = this.#kept.flatMap(({ config: { id } }) => {
        const descriptors = this.#core.forwards.listenerOf(id)?.descriptors ?? [];
        return descriptors.length === 0 || descriptors.includes(-1) ? [] : [{ forwardId: id, descriptors }];
      });
      const { pid, control, ready } = await startSuccessor({
        command: [bundle, "serve", places.folder],
        heirlooms,
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
    await forwards.releaseAll();
    await forwards.closeAll(graceMs);
    this.#core.end({ reason: "stopped" });
  }

  async #listen(): Promise<void> {
    const { log, places } = this.#options;
    this.#server = await ControlServer.open({
      path: this.control,
      onChannel: (stream) => this.#serve(stream),
      onError: (error) => log.error("the control socket failed", { error: stackOf(error) }),
      onRequest: answerRequests({
        facts: () => this.#core.facts(places.name, 0),
        onTakeOver: (request) => this.#giveWay(request),
      }),
    });
  }

  /** Somebody takes one of its ports with --take-over: that forward stays closed until the agent is restarted. */
  async #giveWay({ by, address }: TakeOverRequest): Promise<boolean> {
    const id = this.#core.forwards.at(address);
    const forward = this.#kept.find(({ config }) => config.id === id);
    if (forward === undefined) return false;
    this.#options.log.warn("a port was taken over", { by, address, forward: forward.config.id });
    await forward.retire(0);
    return true;
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
    await Promise.all([...this.#channels].map((peer) => peer.close()));
    await this.#server?.close();
    // A successor's is there instead.
    if (!this.#isHandingOver) await rm(this.control, { force: true });
  }
}

/** What the table knows of a forward, and else what keeps it out of the table. */
function stateOf(
  { state }: KeptForward,
  inTable: ForwardState | undefined,
): Pick<KeptForwardState, "bound" | "state"> {
  switch (state.phase) {
    case "opening":
    case "open":
      return { bound: [...state.bound], state: inTable ?? { phase: "opening" } };
    case "waiting": {
      const retryInMs = Math.max(0, state.retryAt - Date.now());
      return {
        bound: [],
        state: { phase: "opening", waitsFor: "the next try", retryInMs, lastError: toWire(state.lastError) },
      };
    }
    case "failed":
      return { bound: [], state: { phase: "closed", lastError: toWire(state.lastError) } };
    case "closed":
      return { bound: [], state: { phase: "closed" } };
  }
}

/** `promise`, or just the time. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
