import { abortable, CodedError, type EnterOptions, Gate, type SessionEvent } from "@farside/protocol";
import type { Identity } from "@farside/ssh";

/** How long a session keeps its place without getting any further, in ms. */
const PATIENCE_MS = {
  /** Nobody there knows of us yet: a host that is up answers within a round trip. */
  dialling: 250,
  /** sshd counts us. A slow host takes a second for a key exchange, and another for a login. */
  "logging in": 3_000,
  /** The jump host dials a hop again, now that it may. */
  "dialled there": 500,
} as const;
export type TurnStage = keyof typeof PATIENCE_MS;

/** What shows that a session gets further. */
const PROGRESS: ReadonlySet<SessionEvent["event"]> = new Set([
  ...(["hop.connected", "agent.ready", "engine.ready", "forward.open"] as const),
]);

/** A session's wait for a place. */
interface Wait {
  readonly isUrgent: boolean;
  readonly over: AbortController;
  /** Resolves once there is a place, had by this wait or by the urgent one that has taken its place. */
  readonly done: Promise<void>;
}

/** What it needs of an event. */
export type HeardEvent = Pick<SessionEvent, "event"> & {
  readonly leg?: string | undefined;
  readonly phase?: string | undefined;
};

/**
 * One session's place among those that log in at a time. A place is of use only while a host counts us or the card signs: who gets no answer
 * loses it to the next, goes on without, and takes one again, before all others, once the host does answer or wants a signature. So a dead
 * host delays nobody.
 */
export class SessionTurn {
  readonly #gate: Gate;
  readonly #over = new AbortController();
  #stage: TurnStage = "logging in";
  #isStarting = true;
  #leave: (() => void) | undefined;
  #wait: Wait | undefined;
  /** Who waits for a place. */
  #callers = 0;
  #signatures = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Default: there is a place for everybody. */
  constructor(gate: Gate = new Gate(Number.POSITIVE_INFINITY)) {
    this.#gate = gate;
  }

  /** Whether it has a place now. */
  get isHeld(): boolean {
    return this.#leave !== undefined;
  }

  /** Resolves once it has a place, which it keeps for as long as `stage` is patient. Rejects with the signal's reason. */
  async take(stage: TurnStage, { signal, isUrgent = false }: EnterOptions = {}): Promise<void> {
    this.#stage = stage;
    if (this.isHeld) return this.#restart();
    this.#over.signal.throwIfAborted();
    signal?.throwIfAborted();
    this.#callers += 1;
    try {
      await abortable(this.#waitFor(isUrgent), signal);
    } finally {
      this.#callers -= 1;
      // A place that nobody wants any more is for others.
      if (this.#callers === 0) this.#waitNoLonger(signal?.reason);
    }
  }

  /** Has a place for as long as `sign` takes, and rejects as that does. */
  async whileSigning<T>(sign: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#signatures += 1;
    try {
      await this.take(this.#stage, { signal, isUrgent: true });
      return await sign();
    } finally {
      this.#signatures -= 1;
      this.#restart();
    }
  }

  /** Takes an event of the session. */
  hear(event: HeardEvent): void {
    if (!this.#isStarting && isOutcomeThere(event)) this.end();
    else if (PROGRESS.has(event.event)) this.#restart();
  }

  /** Gives the place up: the session has logged in, or will not. Another may be taken. Idempotent. */
  end(): void {
    this.#isStarting = false;
    this.#stage = "dialled there";
    this.#lapse();
  }

  /** Whoever waits for a place is let go, and there is none any more. Idempotent. */
  close(): void {
    this.#over.abort(new CodedError("canceled", "the session is over"));
    this.#waitNoLonger(this.#over.signal.reason);
    this.end();
  }

  /** Joins the wait that there is, unless this one is more urgent: then all who wait do so urgently. */
  #waitFor(isUrgent: boolean): Promise<void> {
    const before = this.#wait;
    if (before !== undefined && (before.isUrgent || !isUrgent)) return before.done;
    const over = new AbortController();
    this.#wait = { isUrgent, over, done: this.#enter(isUrgent, over.signal) };
    before?.over.abort();
    return this.#wait.done;
  }

  #waitNoLonger(reason: unknown): void {
    const wait = this.#wait;
    this.#wait = undefined;
    wait?.over.abort(reason);
  }

  async #enter(isUrgent: boolean, signal: AbortSignal): Promise<void> {
    try {
      const leave = await this.#gate.enter({ signal, isUrgent });
      // Let in at the very moment when it was to wait no longer.
      if (signal.aborted) leave();
      signal.throwIfAborted();
      this.#leave = leave;
      this.#wait = undefined;
    } catch (error) {
      if (this.#wait === undefined) throw error;
      return this.#wait.done;
    }
    this.#restart();
  }

  #restart(): void {
    clearTimeout(this.#timer);
    if (!this.isHeld || this.#signatures > 0) return;
    this.#timer = setTimeout(() => this.#lapse(), PATIENCE_MS[this.#stage]).unref();
  }

  #lapse(): void {
    clearTimeout(this.#timer);
    // Until the last signature is made, somebody counts us.
    if (this.#signatures > 0 && !this.#over.signal.aborted) return;
    this.#leave?.();
    this.#leave = undefined;
  }
}

/** What became of a hop that the jump host has dialled again: it is there, or was not to be had. */
function isOutcomeThere({ event, leg, phase }: HeardEvent): boolean {
  return (event === "hop.connected" && leg === "hop") || (event === "forward.state" && phase === "degraded");
}

/** `identity`, whose signatures are made in `turn`; who asks whether it is ready is told when it may dial. Borrows both. */
export function inTurn(identity: Identity, turn: SessionTurn): Identity {
  const close = async () => {};
  return {
    kind: identity.kind,
    publicKeys: (options) => identity.publicKeys(options),
    async ready(options) {
      await identity.ready(options);
      await turn.take("dialled there", options);
    },
    sign: (request) => turn.whileSigning(() => identity.sign(request), request.signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}
