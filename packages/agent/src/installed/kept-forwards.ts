import {
  type applyConfig,
  configDifference,
  type ForwardState,
  type InstalledConfig,
  type KeptForwardState,
  type ParamsOf,
  type ResultOf,
  toWire,
} from "@farside/protocol";
import type { ForwardCounters } from "../forwarding/forward.ts";
import type { ForwardTable } from "../forwarding/forward-table.ts";
import type { Log } from "../log.ts";
import { type KeptHop, keptHops } from "./connect-kept-hop.ts";
import type { Heirloom } from "./inheritance.ts";
import { KeptForward } from "./kept-forward.ts";

const NOTHING_YET = {
  openRelays: 0,
  totalRelays: 0,
  refusedRelays: 0,
  bytesIn: 0,
  bytesOut: 0,
  state: undefined,
};
/** How long starting listeners may hold up an answer; they go on. */
const LISTEN_TIMEOUT_MS = 15_000;

export interface KeptForwardsOptions {
  readonly config: InstalledConfig;
  readonly table: Pick<ForwardTable, "open" | "retire" | "counters" | "listenerOf">;
  readonly home: string;
  readonly log: Pick<Log, "info" | "warn">;
  /** Has the port for metrics be another; resolves when it is open, or with why it is not yet. */
  readonly setMetricsPort: (port: number | undefined) => Promise<unknown>;
  /** Writes a configuration down, before it is brought about: it is what a restart goes by. */
  readonly save: (config: InstalledConfig) => Promise<void>;
}

/** The forwards of an installed agent, as its configuration has them now. */
export class KeptForwards {
  readonly #options: KeptForwardsOptions;
  #config: InstalledConfig;
  #hops: ReadonlyMap<string, KeptHop>;
  #kept: readonly KeptForward[] = [];
  #applying: Promise<unknown> = Promise.resolve();

  constructor(options: KeptForwardsOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#hops = keptHops(options.config.forwards);
  }

  get config(): InstalledConfig {
    return this.#config;
  }

  hop(hopId: string): KeptHop | undefined {
    return this.#hops.get(hopId);
  }

  /** Begins to open them; those of `inherited` by sockets of another process, which serves until their hops are there. */
  open(inherited?: ReadonlyMap<string, readonly number[]>): void {
    const { table, home, log } = this.#options;
    const kept = new Map(this.#kept.map((forward) => [forward.config.id, forward]));
    this.#kept = this.#config.forwards.map(
      (config) =>
        kept.get(config.id) ??
        new KeptForward({ ...{ config, table, home, log }, inherited: inherited?.get(config.id) }),
    );
  }

  /** Resolves when every listener is open or has failed to be, at the latest after 15 s. */
  async listened(): Promise<void> {
    await within(LISTEN_TIMEOUT_MS, Promise.all(this.#kept.map(({ listened }) => listened)));
  }

  /** Resolves when each is served that can be; after `timeoutMs` the others are too, as far as they get without their hops. */
  async served(timeoutMs: number): Promise<void> {
    await within(timeoutMs, Promise.all(this.#kept.map(({ settled }) => settled)));
    for (const forward of this.#kept) forward.listenNow();
    await this.listened();
  }

  /** Brings a configuration about, one after the other: what is the same in both is not touched. */
  apply(params: ParamsOf<typeof applyConfig>): Promise<ResultOf<typeof applyConfig>> {
    const applying = this.#applying.catch(() => undefined).then(() => this.#apply(params));
    this.#applying = applying;
    return applying;
  }

  /** Tries nothing again any more, where nothing listens yet. */
  giveUpWaiting(): void {
    for (const forward of this.#kept) if (forward.state.phase === "waiting") void forward.retire(0);
  }

  /** Closes all, at once. */
  end(): void {
    for (const forward of this.#kept) void forward.retire(0);
    this.#kept = [];
  }

  /** What another process needs to go on with the listening sockets. */
  get heirlooms(): Heirloom[] {
    return this.#kept.flatMap(({ config: { id } }) => {
      const descriptors = this.#options.table.listenerOf(id)?.descriptors ?? [];
      return descriptors.length === 0 || descriptors.includes(-1) ? [] : [{ forwardId: id, descriptors }];
    });
  }

  get states(): KeptForwardState[] {
    const counters = this.#countersInTable;
    return this.#kept.map((forward) => {
      const { id } = forward.config;
      const { openRelays = 0, totalRelays = 0, state } = counters.get(id) ?? {};
      return { id, openRelays, totalRelays, ...stateOf(forward, state) };
    });
  }

  /** What pages for health and metrics tell: of those that can't be opened now, too, and of those that are being taken away. */
  get counters(): ForwardCounters[] {
    const all = this.#countersInTable;
    for (const forward of this.#kept) {
      const forwardId = forward.config.id;
      const { state: inTable, ...counters } = all.get(forwardId) ?? { forwardId, ...NOTHING_YET };
      all.set(forwardId, { ...counters, state: stateOf(forward, inTable).state });
    }
    return [...all.values()];
  }

  get #countersInTable(): Map<string, ForwardCounters> {
    return new Map(this.#options.table.counters.map((each) => [each.forwardId, each]));
  }

  async #apply({ config, graceMs }: ParamsOf<typeof applyConfig>): Promise<ResultOf<typeof applyConfig>> {
    const { forwards } = configDifference(this.#config, config);
    await this.#options.save(config);
    const isKept = (id: string) => forwards.some((each) => each.id === id && each.change === "unchanged");
    for (const forward of this.#kept) if (!isKept(forward.config.id)) void forward.retire(graceMs);
    this.#kept = this.#kept.filter(({ config: { id } }) => isKept(id));
    this.#config = config;
    this.#hops = keptHops(config.forwards);
    this.open();
    this.#options.log.info("configuration applied", {
      changes: forwards.filter(({ change }) => change !== "unchanged").length,
    });
    const failures = new Map<string, unknown>();
    const changed = this.#kept.filter(({ config: { id } }) => !isKept(id));
    const listening = changed.map(async ({ config: { id }, listened }) => {
      const error = await listened;
      if (error !== undefined) failures.set(id, error);
    });
    const [metricsError] = await Promise.all([
      this.#options.setMetricsPort(config.metricsPort),
      within(LISTEN_TIMEOUT_MS, Promise.all(listening)),
    ]);
    return {
      ...(metricsError !== undefined && { metricsError: toWire(metricsError) }),
      changes: forwards.map(({ id, change }) => ({
        ...{ id, change },
        ...(failures.has(id) && { error: toWire(failures.get(id)) }),
      })),
    };
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
