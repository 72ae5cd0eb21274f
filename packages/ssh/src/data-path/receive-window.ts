import { LARGEST_WINDOW, LOCAL_WINDOW } from "./limits.ts";
import { RoundTrip } from "./round-trip.ts";
import { violation } from "./violation.ts";
import type { WindowBudget } from "./window-budget.ts";

/**
 * How much the server may send on one channel (RFC 4254, 5.2). It is returned when the kernel took the bytes, grows
 * while they are taken as fast as they come and the way is long enough to hold more, and shrinks back for a reader that
 * is slow.
 *
 * What the way does not hold the server keeps, and it costs it more than it is worth: sshd copies a channel's buffer
 * with every 32 KiB that it grows by, seconds of CPU on the way to 16 MiB.
 */
export class ReceiveWindow {
  readonly first: number;
  readonly #budget: WindowBudget;
  /** What the window is meant to be; all of it is taken from the budget, and so is `#excess`. */
  #size: number;
  /** What the server may still send. */
  #left: number;
  /** Passed on, not returned to the server yet. */
  #returnable = 0;
  /** Of a window that shrank: not to be returned to the server but to the budget. */
  #excess = 0;
  #passedSinceGrowth = 0;
  #passingSince: number;
  #received = 0;
  /** Beyond so many bytes the server can only go once it has what we sent it then. */
  #probe: { readonly beyond: number; readonly sentAt: number } | undefined;
  readonly #roundTrip: RoundTrip;
  readonly #now: () => number;

  /** `roundTrip` is the connection's, which the window observes too; `now` a monotonic clock in ms. */
  constructor(budget: WindowBudget, roundTrip = new RoundTrip(), now = () => performance.now()) {
    this.#budget = budget;
    this.#roundTrip = roundTrip;
    this.#now = now;
    this.#passingSince = now();
    this.first = budget.takeFirst();
    this.#size = this.first;
    this.#left = this.first;
  }

  get size(): number {
    return this.#size;
  }

  /** The server sent `count` bytes. Throws when it may not. */
  received(count: number): void {
    if (count > this.#left) throw violation(`${count} bytes on a channel with a window of ${this.#left}`);
    this.#left -= count;
    this.#received += count;
    if (this.#probe === undefined || this.#received <= this.#probe.beyond) return;
    this.#roundTrip.answeredIn(this.#now() - this.#probe.sentAt);
    this.#probe = undefined;
  }

  /** `count` bytes were passed on. Returns by how much to adjust the server's window now; 0 for not yet. */
  passedOn(count: number, isReaderSlow: boolean): number {
    const repaid = Math.min(count, this.#excess);
    this.#excess -= repaid;
    this.#budget.giveBack(repaid);
    this.#returnable += count - repaid;
    this.#passedSinceGrowth += count;
    if (isReaderSlow) this.#shrink();
    if (this.#returnable < this.#size / 4) return 0;
    const now = this.#now();
    if (!isReaderSlow && this.#passedSinceGrowth >= this.#size) this.#growIfNeeded(now);
    const adjustment = this.#returnable;
    this.#returnable = 0;
    this.#probe ??= { beyond: this.#received + this.#left, sentAt: now };
    this.#left += adjustment;
    return adjustment;
  }

  /** The channel is gone, and with it what the server could send. Idempotent. */
  release(): void {
    this.#budget.giveBack(this.#size + this.#excess);
    this.#size = this.#excess = 0;
  }

  /** A window's worth was passed on: twice what comes in a round trip is enough, and some MB are for every way. */
  #growIfNeeded(now: number): void {
    const tookMs = now - this.#passingSince;
    this.#passingSince = now;
    this.#passedSinceGrowth = 0;
    const most = tookMs < 2 * this.#roundTrip.ms ? LARGEST_WINDOW : LOCAL_WINDOW;
    const more = this.#budget.takeMore(Math.min(this.#size, most - this.#size));
    this.#size += more;
    this.#returnable += more;
  }

  #shrink(): void {
    const surplus = this.#size - this.first;
    if (surplus <= 0) return;
    this.#size = this.first;
    // What was not returned yet is kept; the rest is kept as it is passed on.
    const kept = Math.min(surplus, this.#returnable);
    this.#returnable -= kept;
    this.#budget.giveBack(kept);
    this.#excess += surplus - kept;
    this.#passedSinceGrowth = 0;
    this.#passingSince = this.#now();
  }
}
