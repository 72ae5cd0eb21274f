import type net from "node:net";
import { agentWarning, type BindAddress, CodedError, type Peer, relayRefused } from "@farside/protocol";
import { RateLimit } from "../rate-limit.ts";
import type { AdmissionDecision, Admit } from "./admission.ts";
import { type ForwardEvent, type ForwardState, next } from "./forward-state.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import { RelayRun } from "./relay-run.ts";
import { resetStream } from "./reset-socket.ts";
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

interface Waiting {
  readonly socket: net.Socket;
  readonly peer: string;
  readonly uid: number;
}

/**
 * A listener and a target, open until closed. The listener opens first, so that a port that is taken costs no signature;
 * what connects before the hops are up waits.
 */
export class Forward implements AsyncDisposable {
  readonly #options: ForwardOptions;
  readonly #relays = new Map<number, RelayRun>();
  readonly #waiting: Waiting[] = [];
  readonly #refusals = new RateLimit(100, 20);
  readonly #warnings = new RateLimit(5, 0.1);
  readonly #opening = new AbortController();
  #state: ForwardState = { phase: "opening" };
  #listener: Listener | undefined;
  /** Resolves once the listener is open on all its addresses; undefined where that failed. */
  readonly #admit: Promise<Admit | undefined>;
  #settleAdmit: (admit?: Admit) => void = () => {};
  /** Connections whose admission is being decided. */
  #undecided = 0;
  #totals = { relays: 0, refused: 0, bytesIn: 0, bytesOut: 0 };
  #onDrained: (() => void)[] = [];

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#admit = new Promise((resolve) => {
      this.#settleAdmit = resolve;
    });
  }

  get state(): ForwardState {
    return this.#state;
  }

  get openRelays(): number {
    return this.#relays.size;
  }

  /** Accepted connections that wait for their admission or for a place. */
  get waiting(): number {
    return this.#undecided + this.#waiting.length;
  }

  get counters(): ForwardCounters {
    const totals = { ...this.#totals };
    for (const { bytes } of this.#relays.values()) {
      totals.bytesIn += bytes.in;
      totals.bytesOut += bytes.out;
    }
    return {
      forwardId: this.#options.forwardId,
      openRelays: this.#relays.size,
      totalRelays: totals.relays,
      refusedRelays: totals.refused,
      bytesIn: totals.bytesIn,
      bytesOut: totals.bytesOut,
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
        onConnection: (socket, peer) => void this.#accepted(socket, peer),
        onError: (error) => this.#warn(`accepting a connection failed: ${error.message}`),
      });
      this.#listener = listener;
      this.#settleAdmit(admitFor(listener));
      this.#opening.signal.throwIfAborted();
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
    await this.#listener?.close();
    for (const { socket } of this.#waiting.splice(0)) resetStream(socket);
    if (graceMs > 0) await this.#drainedWithin(graceMs);
    const cut = [...this.#relays.values()];
    for (const relay of cut) relay.cut();
    await Promise.all(cut.map(({ closed }) => closed));
    this.#apply({ event: "drained" });
    await this.#release();
    return cut.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Starts waiting connections for which there is a place now. */
  pump(): void {
    while (this.#waiting.length > 0 && this.#mayStart()) {
      const waiting = this.#waiting.shift();
      if (waiting !== undefined) this.#start(waiting);
    }
  }

  #apply(event: ForwardEvent): void {
    this.#state = next(this.#state, event);
  }

  /** May run twice: a close may come while the listener is being opened. */
  async #release(): Promise<void> {
    this.#settleAdmit();
    await this.#listener?.close();
    for (const { socket } of this.#waiting.splice(0)) resetStream(socket);
    await this.#options.target.close();
  }

  async #accepted(socket: net.Socket, peer: string): Promise<void> {
    // The socket is paused and unread: what happens to it shows when it is used.
    socket.on("error", () => {});
    if (!this.#options.mayWait()) {
      resetStream(socket);
      this.#warn("too many connections wait: further ones are reset");
      return;
    }
    this.#undecided += 1;
    const decision = await this.#decide(socket);
    this.#undecided -= 1;
    const isWanted = this.#state.phase === "opening" || this.#state.phase === "open";
    if (decision === undefined || !isWanted) resetStream(socket);
    else if (!decision.isAdmitted) this.#refuse(socket, peer, decision);
    else {
      this.#waiting.push({ socket, peer, uid: decision.uid });
      this.pump();
    }
  }

  async #decide(socket: net.Socket): Promise<AdmissionDecision | undefined> {
    const admit = await this.#admit;
    return admit?.(socket).catch(() => undefined);
  }

  #refuse(
    socket: net.Socket,
    peer: string,
    { uid, reason, hint }: AdmissionDecision & { isAdmitted: false },
  ): void {
    resetStream(socket);
    this.#totals.refused += 1;
    if (!this.#refusals.take()) return;
    const { forwardId, emit } = this.#options;
    emit(relayRefused, { forwardId, peer, uid, reason, hint });
  }

  #mayStart(): boolean {
    const { maxRelays, mayStart } = this.#options;
    return this.#state.phase === "open" && (maxRelays === 0 || this.#relays.size < maxRelays) && mayStart();
  }

  #start({ socket, peer, uid }: Waiting): void {
    const { forwardId, target, emit, nextRelayId, onRelaysChanged, onPlaceFree } = this.#options;
    const relayId = nextRelayId();
    const relay = new RelayRun({ forwardId, relayId, socket, peer, uid, target, emit });
    this.#relays.set(relayId, relay);
    this.#totals.relays += 1;
    void relay.closed.then(() => {
      this.#relays.delete(relayId);
      this.#totals.bytesIn += relay.bytes.in;
      this.#totals.bytesOut += relay.bytes.out;
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

  #warn(message: string): void {
    const { forwardId, emit } = this.#options;
    if (this.#warnings.take())
      emit(agentWarning, { message: `forward ${forwardId}: ${message}`, leg: "bind" });
  }
}

function closedWhileOpening(): CodedError {
  return new CodedError("canceled", "the forward was closed while it was opened", { leg: "bind" });
}
