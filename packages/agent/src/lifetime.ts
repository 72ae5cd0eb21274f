import { CodedError } from "@farside/protocol/errors";

/** Why an agent's time is over. */
export type LifetimeEnd = "lease-expired" | "ttl" | "idle";

export interface LifetimeOptions {
  readonly leaseMs: number;
  /** 0: no limit. */
  readonly ttlMs: number;
  /** 0: no limit. */
  readonly idleMs: number;
  /** Called once. */
  readonly onEnd: (reason: LifetimeEnd) => void;
  /** Whether connections wait for a relay, or a forward is being opened: the agent is not idle then. Default: never. */
  readonly isWaitedFor?: (() => boolean) | undefined;
  /** Called when the lease begins, is renewed, or is not needed any more (undefined): in how many ms it ends now. */
  readonly onLease?: ((endsInMs: number | undefined) => void) | undefined;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

/** The clocks are looked at this often at least. */
const MAX_TICK_MS = 1000;
/** A look that comes so much later than it was due: the process did not run (stopped, swapped out, a suspended machine). */
const GAP_MS = 2000;
/** The orchestrator renews every third of the lease. */
const RENEWALS_PER_LEASE = 3;
/** An agent that is waited for when its idle time is over is looked at again after this. */
const LOOK_AGAIN_MS = 50;

/**
 * How long an agent may live: its lease, its --ttl, its --idle. The lease is held for `leaseMs` after a renewal and not a
 * moment longer: no relay starts once it has run out. Where the process itself was stopped meanwhile, renewals may lie
 * unread in stdin, so the end then waits for one more heartbeat (a third of the lease).
 */
export class Lifetime implements Disposable {
  readonly #options: LifetimeOptions;
  readonly #now: () => number;
  readonly #startedAt: number;
  #renewedAt: number;
  /** Until then an expired lease does not end the agent yet. */
  #sparedUntil = 0;
  /** Undefined while a relay is open. */
  #idleSince: number | undefined;
  #tickDueAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;
  #isDetached = false;

  constructor(options: LifetimeOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#startedAt = this.#now();
    this.#renewedAt = this.#startedAt;
    this.#idleSince = this.#startedAt;
    this.#schedule();
    options.onLease?.(options.leaseMs);
  }

  get isLeaseHeld(): boolean {
    return !this.#hasEnded && this.#now() < this.#leaseEndsAt;
  }

  /** Nobody has to renew it any more. */
  get isDetached(): boolean {
    return this.#isDetached;
  }

  renew(): void {
    this.#renewedAt = this.#now();
    if (!this.#isDetached) this.#options.onLease?.(this.#options.leaseMs);
  }

  /**
   * From now on nobody has to renew the lease: the agent lives for what is left of its ttl. Throws `config.invalid` where it
   * has none, for then nothing would ever end it.
   */
  detach(): void {
    if (this.#options.ttlMs === 0) {
      throw new CodedError("config.invalid", "leaving the agent to itself: it has no --ttl", { leg: "jump" });
    }
    this.#isDetached = true;
    this.#options.onLease?.(undefined);
  }

  relaysChanged(openRelays: number): void {
    // Called for each of thousands of relays a second: a timer that nobody needs is not set anew.
    if (this.#options.idleMs === 0) return;
    if (openRelays > 0) this.#idleSince = undefined;
    else {
      this.#idleSince ??= this.#now();
      this.#schedule();
    }
  }

  /** There is a forward to connect to: only from now on its lack of relays counts. */
  forwardOpened(): void {
    if (this.#idleSince !== undefined) this.#idleSince = this.#now();
  }

  /** Stops the clocks. Idempotent. */
  [Symbol.dispose](): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  get #leaseEndsAt(): number {
    return this.#isDetached ? Number.POSITIVE_INFINITY : this.#renewedAt + this.#options.leaseMs;
  }

  /** What is due now, or in how many ms to look again. */
  #due(now: number): LifetimeEnd | number {
    const { ttlMs, idleMs } = this.#options;
    const leaseEndsAt = Math.max(this.#leaseEndsAt, this.#sparedUntil);
    const ttlEndsAt = ttlMs === 0 ? Number.POSITIVE_INFINITY : this.#startedAt + ttlMs;
    const isIdle = idleMs > 0 && this.#idleSince !== undefined;
    const idleEndsAt = isIdle ? (this.#idleSince ?? 0) + idleMs : Number.POSITIVE_INFINITY;
    if (now >= ttlEndsAt) return "ttl";
    if (now >= leaseEndsAt) return "lease-expired";
    if (now >= idleEndsAt) return "idle";
    return Math.min(MAX_TICK_MS, Math.min(leaseEndsAt, ttlEndsAt, idleEndsAt) - now);
  }

  #schedule(): void {
    if (this.#hasEnded) return;
    const due = this.#due(this.#now());
    this.#lookIn(typeof due === "number" ? due : 0);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#tickDueAt = this.#now() + ms;
    this.#timer = setTimeout(() => this.#tick(), ms);
  }

  #tick(): void {
    const now = this.#now();
    if (now - this.#tickDueAt > GAP_MS) this.#sparedUntil = now + this.#options.leaseMs / RENEWALS_PER_LEASE;
    const due = this.#due(now);
    if (typeof due === "number") this.#schedule();
    // A timer may come before the connections that the kernel has completed meanwhile: they are accepted first.
    else if (due === "idle") setImmediate(() => this.#endIfIdle());
    else this.#end(due);
  }

  #endIfIdle(): void {
    if (this.#hasEnded) return;
    if (this.#due(this.#now()) !== "idle") this.#schedule();
    else if (this.#options.isWaitedFor?.() === true) this.#lookIn(LOOK_AGAIN_MS);
    else this.#end("idle");
  }

  #end(reason: LifetimeEnd): void {
    this[Symbol.dispose]();
    this.#options.onEnd(reason);
  }
}
