import { setTimeout as wait } from "node:timers/promises";
import { type BindAddress, CodedError, type ForwardState, type Peer, toCodedError } from "@farside/protocol";
import type { Admit } from "./admission.ts";
import { type AdmittedClient, Entrance } from "./entrance.ts";
import { formatEndpoint } from "./format-endpoint.ts";
import { ForwardHealthTeller } from "./forward-health.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import type { RelayNews } from "./relay-news.ts";
import { type RelayFacts, RelayRun } from "./relay-run.ts";
import type { HopNews } from "./shared-hop.ts";
import type { Target } from "./target.ts";
import { TargetProbe } from "./target-probe.ts";

/** How long accepted connections may take to be admitted and to find a place, where nothing is accepted any more. */
const RELEASE_TIMEOUT_MS = 5_000;
const RELEASE_POLL_MS = 20;

export interface ForwardOptions {
  readonly forwardId: string;
  readonly openListener: (options: ListenerOptions) => Promise<Listener>;
  /** Connects the hops before it listens: another process still serves the port. */
  readonly isTakenOver?: boolean | undefined;
  /** Owned by the forward. */
  readonly target: Target;
  /** Who may connect, for the listener that was opened. */
  readonly admitFor: (listener: Listener) => Admit;
  /** 0: no limit. */
  readonly maxRelays: number;
  /** How often the target is dialled to know whether it can be had; undefined: never. */
  readonly probeMs?: number | undefined;
  /** Whether the agent as a whole lets a further relay start. */
  readonly mayStart: () => boolean;
  /** Whether it lets a further accepted connection wait. */
  readonly mayWait: () => boolean;
  readonly nextRelayId: () => number;
  readonly emit: Peer["emit"];
  readonly news: RelayNews;
  /** Called after a relay started or ended. */
  readonly onRelaysChanged: () => void;
  /** Called after a relay ended: another may start, of any forward. */
  readonly onPlaceFree: () => void;
}

export interface ForwardCounters {
  readonly forwardId: string;
  readonly openRelays: number;
  readonly totalRelays: number;
  readonly refusedRelays: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly state: ForwardState;
}

/**
 * A listener and a target, open until closed. The listener opens first, so that a port that is taken costs no signature;
 * what connects before the hops are up waits.
 */
export class Forward implements AsyncDisposable {
  readonly #options: ForwardOptions;
  readonly #entrance: Entrance;
  readonly #relays = new Map<number, RelayRun>();
  readonly #opening = new AbortController();
  readonly #health: ForwardHealthTeller;
  #probe: TargetProbe | undefined;
  readonly #cutting = new AbortController();
  #listener: Listener | undefined;
  /** Of the relays that have ended. */
  #totals = { relays: 0, bytesIn: 0, bytesOut: 0 };
  #onDrained: (() => void)[] = [];

  constructor(options: ForwardOptions) {
    this.#options = options;
    const { forwardId, mayWait, emit, target } = options;
    this.#health = new ForwardHealthTeller(forwardId, emit);
    target.watch?.((news) => this.#hear(news));
    this.#entrance = new Entrance({ forwardId, mayWait, emit, onAdmitted: () => this.pump() });
  }

  get state(): ForwardState {
    return this.#health.state;
  }

  /** Its open relays. */
  get relays(): RelayFacts[] {
    return [...this.#relays.values()].map(({ facts }) => facts);
  }

  get openRelays(): number {
    return this.#relays.size;
  }

  /** Accepted connections that wait for their admission or for a place. */
  get waiting(): number {
    return this.#entrance.waiting;
  }

  get counters(): ForwardCounters {
    let { bytesIn, bytesOut } = this.#totals;
    for (const { bytes } of this.#relays.values()) {
      bytesIn += bytes.in;
      bytesOut += bytes.out;
    }
    return {
      forwardId: this.#options.forwardId,
      openRelays: this.#relays.size,
      totalRelays: this.#totals.relays + this.#relays.size,
      refusedRelays: this.#entrance.refused,
      bytesIn,
      bytesOut,
      state: this.state,
    };
  }

  /** Opens it; call once. Rejects with what went wrong, having released everything. */
  async open(signal: AbortSignal): Promise<readonly BindAddress[]> {
    const { openListener, target, admitFor, isTakenOver = false } = this.#options;
    const abort = () => this.#opening.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      if (isTakenOver) await target.connect(this.#opening.signal);
      const listener = await openListener({
        onConnection: (socket, peer) => this.#entrance.accept(socket, peer),
        onError: (error) => this.#entrance.warn(`accepting a connection failed: ${error.message}`),
      });
      this.#listener = listener;
      this.#opening.signal.throwIfAborted();
      this.#entrance.open(admitFor(listener));
      await target.connect(this.#opening.signal);
      this.#health.apply({ event: "listening" });
      if (this.#health.stage !== "open") throw closedWhileOpening();
      this.#startProbe();
      this.pump();
      return listener.bound;
    } catch (error) {
      this.#health.apply({ event: "open-failed", error: toCodedError(error) });
      await this.#release();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * Stops accepting at once; relays have `graceMs`, then they are cut. Resolves with the number of relays cut, when all
   * are gone. A further call with less grace shortens it.
   */
  async close(graceMs = 0): Promise<number> {
    this.#health.apply({ event: "close" });
    this.#probe?.[Symbol.dispose]();
    this.#opening.abort(closedWhileOpening());
    this.#entrance.close();
    await this.#listener?.close();
    if (graceMs > 0) await this.#drainedWithin(graceMs);
    this.#cutting.abort(closedWhileOpening());
    const cut = [...this.#relays.values()];
    for (const relay of cut) relay.cut();
    await Promise.all(cut.map(({ closed }) => closed));
    this.#health.apply({ event: "drained" });
    // Hops behind a dead link take their time to say goodbye; nothing of this forward needs them any more.
    void this.#release().catch(() => {});
    return cut.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What it listens on; undefined while it does not. */
  get listener(): Listener | undefined {
    return this.#listener;
  }

  /** Stops accepting because another process goes on with the sockets; resolves when what was accepted has become relays. */
  async release(): Promise<void> {
    await this.#listener?.release();
    const until = performance.now() + RELEASE_TIMEOUT_MS;
    while (this.waiting > 0 && performance.now() < until) await wait(RELEASE_POLL_MS);
  }

  /** Starts waiting connections for which there is a place now. */
  pump(): void {
    while (this.#mayStart()) {
      const client = this.#entrance.next();
      if (client === undefined) return;
      this.#start(client);
    }
  }

  #hear(news: HopNews): void {
    if (news.news === "up") this.#health.apply({ event: "hop-up" });
    else if (news.news === "down") this.#hopDown(news);
    else if (!news.isWanted) this.#health.apply({ event: "signature-over" });
    else {
      const { user, host, port } = news.hop;
      this.#health.apply({ event: "signature-wanted", hop: `${user}@${formatEndpoint(host, port)}` });
    }
  }

  #hopDown({ error, retryInMs }: HopNews & { news: "down" }): void {
    const retryAt = retryInMs === undefined ? undefined : performance.now() + retryInMs;
    this.#health.apply({ event: "hop-down", error, retryAt });
  }

  /** A hop that can't be had says so itself. */
  #dialled(error: CodedError | undefined): void {
    if (error === undefined) this.#health.apply({ event: "target-up" });
    else if (error.leg === "target") this.#health.apply({ event: "target-down", error });
  }

  #startProbe(): void {
    const { probeMs, target } = this.#options;
    if (probeMs === undefined) return;
    this.#probe = new TargetProbe({
      ...{ target, intervalMs: probeMs },
      mayDial: () => this.#health.isHopUp,
      onResult: (error) => this.#dialled(error),
    });
  }

  /** May run twice: a close may come while the listener is being opened. */
  async #release(): Promise<void> {
    this.#entrance.close();
    await this.#listener?.close();
    await this.#options.target.close();
  }

  #mayStart(): boolean {
    const { maxRelays, mayStart } = this.#options;
    return this.#health.stage === "open" && (maxRelays === 0 || this.#relays.size < maxRelays) && mayStart();
  }

  #start({ socket, peer, uid }: AdmittedClient): void {
    const { forwardId, target, news, nextRelayId, onRelaysChanged, onPlaceFree } = this.#options;
    const relayId = nextRelayId();
    const relay = new RelayRun({
      ...{ forwardId, relayId, socket, peer, uid, target, news, signal: this.#cutting.signal },
      onDialled: (error) => this.#dialled(error),
    });
    this.#relays.set(relayId, relay);
    void relay.closed.then(() => {
      this.#relays.delete(relayId);
      const { relays, bytesIn, bytesOut } = this.#totals;
      this.#totals = {
        relays: relays + 1,
        bytesIn: bytesIn + relay.bytes.in,
        bytesOut: bytesOut + relay.bytes.out,
      };
      if (this.#relays.size === 0) for (const tell of this.#onDrained.splice(0)) tell();
      onRelaysChanged();
      onPlaceFree();
    });
    onRelaysChanged();
  }

  /** Resolves when no relay is open, or after `ms`, or when another close has cut them. */
  #drainedWithin(ms: number): Promise<void> {
    if (this.#relays.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
      this.#onDrained.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function closedWhileOpening(): CodedError {
  return new CodedError("canceled", "the forward was closed while it was opened", { leg: "bind" });
}
