import {
  type BindAddress,
  CodedError,
  forwardTakenOver,
  MAX_DESCRIBED_RELAYS,
  MAX_FORWARDS,
  type OpenForwardParams,
  type Peer,
} from "@farside/protocol";
import type { Log } from "../log.ts";
import { openTakingOver, type TakenOver } from "../takeover/open-taking-over.ts";
import { type Admit, admitAll, admitByUid } from "./admission.ts";
import { formatEndpoint } from "./format-endpoint.ts";
import { Forward, type ForwardCounters } from "./forward.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import type { openListener } from "./open-listener.ts";
import { PeerUidLookup } from "./peer-uid.ts";
import type { RelayGate } from "./relay-gate.ts";
import { RelayNews } from "./relay-news.ts";
import type { RelayFacts } from "./relay-run.ts";
import type { RoutePool } from "./route-pool.ts";
import type { SocketOwners } from "./socket-owner.ts";
import { sshTarget } from "./ssh-target.ts";
import type { Target } from "./target.ts";
import { tcpTarget } from "./tcp-target.ts";
import { unixTarget } from "./unix-target.ts";
import { uidOfUser, userNameOf } from "./user-names.ts";

const MAX_NAMES = 256;

export interface OpenForwardOptions {
  /** Opens its listener; default: `openListener`. */
  readonly openListener?: typeof openListener | undefined;
  /** See `ForwardOptions`. */
  readonly isTakenOver?: boolean | undefined;
}

export interface ForwardTableOptions {
  /** The agent's own; it and root may always connect. */
  readonly uid: number;
  readonly routes: RoutePool;
  readonly gate: RelayGate;
  readonly emit: Peer["emit"];
  readonly onRelaysChanged: (openRelays: number) => void;
  /** Called when a forward is open. */
  readonly onBound?: ((forwardId: string, bound: readonly BindAddress[]) => void) | undefined;
  /** Starts what looks connections' owners up faster than /proc does; without it /proc alone is asked. */
  readonly startFastOwners?: (() => SocketOwners) | undefined;
  readonly log?: Pick<Log, "debug"> | undefined;
}

/** All forwards of an agent. */
export class ForwardTable implements AsyncDisposable {
  readonly #options: ForwardTableOptions;
  readonly #forwards = new Map<string, Forward>();
  /** Without a listener, with relays that go on for their grace. */
  readonly #retired = new Set<Forward>();
  readonly #lookup: PeerUidLookup;
  readonly #names = new Map<number, Promise<string>>();
  readonly #news: RelayNews;
  #lastRelayId = 0;
  #opening = 0;
  #isClosed = false;

  constructor(options: ForwardTableOptions) {
    this.#options = options;
    this.#news = new RelayNews(options.emit);
    this.#lookup = new PeerUidLookup({
      startFast: options.startFastOwners,
      onFallback: (why) => options.log?.debug("owners of connections are read from /proc alone", { why }),
    });
  }

  get openRelays(): number {
    let open = 0;
    for (const forward of this.#all) open += forward.openRelays;
    return open;
  }

  get #all(): readonly Forward[] {
    return [...this.#forwards.values(), ...this.#retired];
  }

  get #waiting(): number {
    let waiting = 0;
    for (const forward of this.#forwards.values()) waiting += forward.waiting;
    return waiting;
  }

  /** Whether accepted connections wait for a relay, or a forward is being opened. */
  get isWaitedFor(): boolean {
    return this.#opening > 0 || this.#waiting > 0;
  }

  get counters(): ForwardCounters[] {
    return [...this.#forwards.values()].map(({ counters }) => counters);
  }

  /** Open relays of all forwards, the newest, as many as can be told. */
  get relays(): RelayFacts[] {
    const all = [...this.#forwards.values()].flatMap(({ relays }) => relays);
    return all.sort((one, other) => other.relayId - one.relayId).slice(0, MAX_DESCRIBED_RELAYS);
  }

  /** Rejects with what the listener, the hops or the user names fail with. */
  async open(
    params: OpenForwardParams,
    signal: AbortSignal,
    options: OpenForwardOptions = {},
  ): Promise<readonly BindAddress[]> {
    this.#opening += 1;
    try {
      return await this.#open(params, signal, options);
    } finally {
      this.#opening -= 1;
    }
  }

  async #open(
    params: OpenForwardParams,
    signal: AbortSignal,
    options: OpenForwardOptions,
  ): Promise<readonly BindAddress[]> {
    const { forwardId } = params;
    const allowedUids = await this.#allowedUids(params.admission.allowUsers);
    if (this.#isClosed) throw new CodedError("canceled", "the agent is ending", { leg: "bind" });
    if (this.#forwards.has(forwardId)) throw new Error(`a forward ${forwardId} exists already`);
    if (this.#forwards.size >= MAX_FORWARDS) {
      throw new CodedError("config.invalid", `opening a forward: a session has at most ${MAX_FORWARDS}`, {
        leg: "bind",
      });
    }
    const forward = this.#make(params, allowedUids, options);
    this.#forwards.set(forwardId, forward);
    try {
      const bound = await forward.open(signal);
      this.#options.onBound?.(forwardId, bound);
      return bound;
    } catch (error) {
      // Unless it was retired meanwhile, and another has its id.
      if (this.#forwards.get(forwardId) === forward) this.#forwards.delete(forwardId);
      throw error;
    }
  }

  /** The listener of a forward, where it has one now. */
  listenerOf(forwardId: string): Listener | undefined {
    return this.#forwards.get(forwardId)?.listener;
  }

  /** The forward that listens on `address` (`127.0.0.1:4444`, or a socket's path). */
  at(address: string): string | undefined {
    for (const [forwardId, { listener }] of this.#forwards) {
      const isThere = listener?.bound.some((bound) => addressOf(bound) === address) === true;
      if (isThere) return forwardId;
    }
    return undefined;
  }

  /** Closes a forward's listener and gives its id free at once; its relays have the grace. Resolves when they are gone. */
  async retire(forwardId: string, graceMs: number): Promise<void> {
    const forward = this.#forwards.get(forwardId);
    if (forward === undefined) return;
    this.#forwards.delete(forwardId);
    this.#retired.add(forward);
    await forward.close(graceMs);
    this.#retired.delete(forward);
  }

  /** Another process goes on with the listeners: from now on nothing is accepted here. What was is served; then close all. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#forwards.values()].map((forward) => forward.release()));
  }

  /** Rejects with `forward.not-found`; else resolves when the forward and its relays are gone. */
  async close(forwardId: string, graceMs: number): Promise<void> {
    const forward = this.#forwards.get(forwardId);
    if (forward === undefined) {
      throw new CodedError("forward.not-found", `closing the forward ${forwardId}: there is no such forward`);
    }
    await forward.close(graceMs);
    this.#forwards.delete(forwardId);
  }

  /** Closes all, for good; resolves with the number of relays cut. A further call with less grace shortens it. */
  async closeAll(graceMs: number): Promise<number> {
    this.#isClosed = true;
    const cut = await Promise.all(this.#all.map((forward) => forward.close(graceMs)));
    await this.#lookup.close();
    return cut.reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeAll(0);
  }

  /** Lets waiting connections start, after something that held them back is gone. */
  pump(): void {
    for (const forward of this.#forwards.values()) forward.pump();
  }

  #make(params: OpenForwardParams, allowedUids: ReadonlySet<number>, options: OpenForwardOptions): Forward {
    const { emit, gate } = this.#options;
    return new Forward({
      forwardId: params.forwardId,
      openListener: (listenerOptions) =>
        options.openListener?.(params.bind, listenerOptions) ?? this.#openListener(params, listenerOptions),
      isTakenOver: options.isTakenOver,
      target: this.#targetOf(params),
      admitFor: (listener) => this.#admitFor(listener, allowedUids, params.admission.allowAnyUser),
      ...{ maxRelays: params.maxRelays, probeMs: params.probeMs },
      mayStart: () => gate.mayStart(this.openRelays),
      mayWait: () => gate.mayWait(this.#waiting),
      nextRelayId: () => {
        this.#lastRelayId += 1;
        return this.#lastRelayId;
      },
      ...{ emit, news: this.#news },
      onRelaysChanged: () => this.#options.onRelaysChanged(this.openRelays),
      onPlaceFree: () => this.pump(),
    });
  }

  #openListener(
    { forwardId, bind, takeOver }: OpenForwardParams,
    options: ListenerOptions,
  ): Promise<Listener> {
    const { uid } = this.#options;
    const onTaken = (taken: TakenOver) => this.tellTaken(forwardId, taken);
    return openTakingOver(bind, options, { uid, request: takeOver, onTaken });
  }

  /** `forwardId` is what needed the place that was taken over. */
  tellTaken(forwardId: string, { address, from, reason }: TakenOver): void {
    this.#options.emit(
      forwardTakenOver,
      { forwardId, address, ...(from && { from: { ...from } }), reason },
      { keep: true },
    );
  }

  async #allowedUids(names: readonly string[]): Promise<ReadonlySet<number>> {
    return new Set([0, this.#options.uid, ...(await Promise.all(names.map(uidOfUser)))]);
  }

  #admitFor(listener: Listener, allowedUids: ReadonlySet<number>, allowAnyUser: boolean): Admit {
    if (!listener.isLoopback) return admitAll;
    return admitByUid({ allowedUids, allowAnyUser, lookup: this.#lookup, nameOf: this.#nameOf });
  }

  /** A user who is refused is likely to try again. */
  readonly #nameOf = (uid: number): Promise<string> => {
    const known = this.#names.get(uid) ?? userNameOf(uid);
    if (this.#names.size < MAX_NAMES) this.#names.set(uid, known);
    return known;
  };

  #targetOf({ target, route, connections }: OpenForwardParams): Target {
    if (route.length > 0) return sshTarget(target, this.#options.routes.lease(route, connections));
    return target.kind === "unix" ? unixTarget(target.path) : tcpTarget(target.host, target.port);
  }
}

function addressOf(bound: BindAddress): string {
  if (bound.kind === "unix") return bound.path;
  return formatEndpoint(bound.kind === "tcp" ? bound.address : "localhost", bound.port);
}
