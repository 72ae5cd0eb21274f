import { type BindAddress, CodedError, type Peer } from "@farside/protocol";
import type { Admit } from "./admission.ts";
import { type AdmittedClient, Entrance } from "./entrance.ts";
import { type ForwardEvent, type ForwardState, next } from "./forward-state.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import { RelayRun } from "./relay-run.ts";
import type { Target } from "./target.ts";

export interface ForwardOptions {
  readonly forwardId: string;
  readonly openListener: (options: ListenerOptions) => Promise<Listener>;
  /** Owned by the forward. */
  readonly target: Target;
  /** Who may connect, for the listener that was opened. */
  readonly admitFor: (listener: Listener) => Admit;
  /** 0: no limit. */
  readonly maxRelays: number;
  /** Whether the agent as a whole lets a further relay start. */
  readonly mayStart: () => boolean;
  /** Whether it lets a further accepted connection wait. */
  readonly mayWait: () => boolean;
  readonly nextRelayId: () => number;
  readonly emit: Peer["emit"];
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
  #state: ForwardState = { phase: "opening" };
  #listener: Listener | undefined;
  /** Of the relays that have ended. */
  #totals = { relays: 0, bytesIn: 0, bytesOut: 0 };
  #onDrained: (() => void)[] = [];

  constructor(options: ForwardOptions) {
    this.#options = options;
    const { forwardId, mayWait, emit } = options;
    this.#entrance = new Entrance({ forwardId, mayWait, emit, onAdmitted: () => this.pump() });
  }

  get state(): ForwardState {
    return this.#state;
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
    };
  }

  /** Opens it; call once. Rejects with what went wrong, having released everything. */
  async open(signal: AbortSignal): Promise<readonly BindAddress[]> {
    const { openListener, target, admitFor } = this.#options;
    const abort = () => this.#opening.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      const listener = await openListener({
        onConnection: (socket, peer) => this.#entrance.accept(socket, peer),
        onError: (error) => this.#entrance.warn(`accepting a connection failed: ${error.message}`),
      });
      this.#listener = listener;
      this.#opening.signal.throwIfAborted();
      this.#entrance.open(admitFor(listener));
      await target.connect(this.#opening.signal);
      this.#apply({ event: "listening", bound: listener.bound });
      if (this.#state.phase !== "open") throw closedWhileOpening();
      this.pump();
      return listener.bound;
    } catch (error) {
      this.#apply({ event: "open-failed" });
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
    this.#apply({ event: "close" });
    this.#opening.abort(closedWhileOpening());
    this.#entrance.close();
    await this.#listener?.close();
    if (graceMs > 0) await this.#drainedWithin(graceMs);
    const cut = [...this.#relays.values()];
    for (const relay of cut) relay.cut();
    await Promise.all(cut.map(({ closed }) => closed));
    this.#apply({ event: "drained" });
    // Hops behind a dead link take their time to say goodbye; nothing of this forward needs them any more.
    void this.#release().catch(() => {});
    return cut.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Starts waiting connections for which there is a place now. */
  pump(): void {
    while (this.#mayStart()) {
      const client = this.#entrance.next();
      if (client === undefined) return;
      this.#start(client);
    }
  }

  #apply(event: ForwardEvent): void {
    this.#state = next(this.#state, event);
  }

  /** May run twice: a close may come while the listener is being opened. */
  async #release(): Promise<void> {
    this.#entrance.close();
    await this.#listener?.close();
    await this.#options.target.close();
  }

  #mayStart(): boolean {
    const { maxRelays, mayStart } = this.#options;
    return this.#state.phase === "open" && (maxRelays === 0 || this.#relays.size < maxRelays) && mayStart();
  }

  #start({ socket, peer, uid }: AdmittedClient): void {
    const { forwardId, target, emit, nextRelayId, onRelaysChanged, onPlaceFree } = this.#options;
    const relayId = nextRelayId();
    const relay = new RelayRun({ forwardId, relayId, socket, peer, uid, target, emit });
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
