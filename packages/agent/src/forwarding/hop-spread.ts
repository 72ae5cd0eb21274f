import { type CodedError, isCodedError, toCodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { formatEndpoint } from "./format-endpoint.ts";
import { isTooSoon, type SharedHop } from "./shared-hop.ts";
import { type ConnectionLoad, spreadRelays } from "./spread-relays.ts";

/** A further connection without a channel is closed after this time. */
const IDLE_MS = 60_000;
/** After a further connection could not be had, none is tried for this time, and up to as long again: somebody may have said no. */
const PAUSE_MS = 300_000;
/** Where the host would turn us away for what it refused others: that passes within seconds. */
const UNDIALLED_PAUSE_MS = 10_000;

/** A place for one channel on one of the connections to a hop. */
export interface Place {
  readonly hop: Hop;
  /** Whether it is on a further connection: the first one may do where this one fails. */
  readonly isFurther: boolean;
  /** The channel is open. */
  opened(): void;
  /** The channel is gone, or was never had. Idempotent. */
  release(): void;
}

export interface HopSpreadOptions {
  readonly onWarning?: ((message: string, hint?: string) => void) | undefined;
  /** Default 60 s. */
  readonly idleMs?: number | undefined;
  /** A monotonic clock in ms. */
  readonly now?: (() => number) | undefined;
}

/**
 * The connections that channels to one hop are spread over: the shared one, and further ones while the load asks for
 * them, since sshd has one process a connection, which gets slower with every channel. Each costs a signature. No channel
 * waits for a further connection, and none fails because there is none.
 */
export class HopSpread implements AsyncDisposable {
  readonly #first: SharedHop;
  readonly #options: HopSpreadOptions;
  readonly #now: () => number;
  readonly #further = new Set<Connection>();
  readonly #ending = new AbortController();
  #firstConnection: Connection | undefined;
  #opening: Promise<void> | undefined;
  #notBefore = 0;
  #isGrowthTold = false;
  #isFailureTold = false;

  constructor(first: SharedHop, options: HopSpreadOptions = {}) {
    this.#first = first;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** A place on one of at most `limit` connections; whoever takes it releases it. Rejects as `SharedHop.get` does. */
  async take(limit: number, signal: AbortSignal): Promise<Place> {
    if (this.#connections.length === 0) await this.#first.get(signal);
    const connections = this.#connections;
    const { take, wantsAnother } = spreadRelays(connections, limit);
    const connection = connections[take];
    if (connection === undefined) return this.takeFirst(signal);
    if (wantsAnother) this.#grow(limit);
    return this.#placeOn(connection);
  }

  /** A place on the first connection. */
  async takeFirst(signal: AbortSignal): Promise<Place> {
    return this.#placeOn(this.#asFirst(await this.#first.get(signal)));
  }

  /** Ends the further connections, and what is under way. The first is its owner's. Idempotent. */
  async close(): Promise<void> {
    this.#ending.abort(new Error("the connections are closed"));
    const further = [...this.#further];
    this.#further.clear();
    await Promise.all([this.#opening, ...further.map((connection) => connection.close())]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Those that are up. */
  get #connections(): Connection[] {
    const { connected } = this.#first;
    return [...(connected === undefined ? [] : [this.#asFirst(connected)]), ...this.#further];
  }

  #asFirst(hop: Hop): Connection {
    if (this.#firstConnection?.hop !== hop) this.#firstConnection = new Connection(hop);
    return this.#firstConnection;
  }

  #placeOn(connection: Connection): Place {
    return connection.place(this.#further.has(connection), () => {
      if (connection.isEmpty && this.#further.has(connection)) this.#closeWhenIdle(connection);
    });
  }

  #grow(limit: number): void {
    if (this.#opening !== undefined || this.#ending.signal.aborted || this.#now() < this.#notBefore) return;
    if (!this.#first.mayConnectAnother) return;
    this.#opening = this.#connectAnother(limit)
      .catch((error) => this.#giveUpForNow(toCodedError(error)))
      .finally(() => {
        this.#opening = undefined;
      });
  }

  async #connectAnother(limit: number): Promise<void> {
    const { signal } = this.#ending;
    if (this.#first.connected === undefined) {
      await this.#first.get(signal);
      return;
    }
    const hop = await this.#first.connectAnother(signal);
    if (signal.aborted) return hop.close();
    const connection = new Connection(hop);
    const relays = this.#connections.reduce((sum, { open, opening }) => sum + open + opening, 0);
    this.#further.add(connection);
    void hop.closed.then((error) => this.#dropped(connection, error));
    this.#closeWhenIdle(connection);
    this.#isFailureTold = false;
    if (this.#isGrowthTold) return;
    this.#isGrowthTold = true;
    this.#options.onWarning?.(
      `opened connection ${this.#connections.length} of ${limit} to ${this.#name}: ${relays} relays`,
      "Each further connection is signed for; --connections 1 keeps to one.",
    );
  }

  #giveUpForNow(error: CodedError): void {
    if (this.#ending.signal.aborted) return;
    const wasDialled = !isTooSoon(error);
    this.#notBefore = this.#now() + (wasDialled ? PAUSE_MS : UNDIALLED_PAUSE_MS) * (1 + Math.random());
    if (!wasDialled || this.#isFailureTold) return;
    this.#isFailureTold = true;
    this.#options.onWarning?.(
      `relays to ${this.#name} stay on ${this.#connections.length} connection(s), there is no further one: ${error.message}`,
      isCodedError(error) ? error.hint : undefined,
    );
  }

  #closeWhenIdle(connection: Connection): void {
    connection.afterIdle(this.#options.idleMs ?? IDLE_MS, () => {
      this.#further.delete(connection);
      void connection.close();
    });
  }

  #dropped(connection: Connection, error: CodedError | undefined): void {
    connection.stopWaiting();
    if (!this.#further.delete(connection) || this.#ending.signal.aborted) return;
    this.#options.onWarning?.(
      `a further connection to ${this.#name} is gone: ${error?.message ?? "it ended"}`,
      "Its relays ended; others are not touched.",
    );
  }

  get #name(): string {
    const { user, host, port } = this.#first.declaration;
    return `${user}@${formatEndpoint(host, port)}`;
  }
}

/** A connection and its channels. */
class Connection implements ConnectionLoad {
  readonly hop: Hop;
  open = 0;
  opening = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(hop: Hop) {
    this.hop = hop;
  }

  get isEmpty(): boolean {
    return this.open + this.opening === 0;
  }

  place(isFurther: boolean, onReleased: () => void): Place {
    this.stopWaiting();
    this.opening += 1;
    let phase: "opening" | "open" | "released" = "opening";
    return {
      hop: this.hop,
      isFurther,
      opened: () => {
        if (phase !== "opening") return;
        phase = "open";
        this.opening -= 1;
        this.open += 1;
      },
      release: () => {
        if (phase === "released") return;
        if (phase === "opening") this.opening -= 1;
        else this.open -= 1;
        phase = "released";
        onReleased();
      },
    };
  }

  afterIdle(ms: number, then: () => void): void {
    this.stopWaiting();
    this.#idle = setTimeout(then, ms).unref();
  }

  stopWaiting(): void {
    clearTimeout(this.#idle);
  }

  close(): Promise<void> {
    this.stopWaiting();
    return this.hop.close();
  }
}
