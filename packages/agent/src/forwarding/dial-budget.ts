import type { CodedError } from "@farside/protocol";
import { HostPenalties } from "./host-penalties.ts";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const WINDOW_MS = 60_000;
/** The destination guard signs at most 10 a hop and minute. */
const MAX_DIALS_PER_WINDOW = 8;
/** Of these: what further connections may spend, so that a lost hop can still be dialled again. */
const MAX_BEFORE_FURTHER = 5;

/**
 * How often a lost hop may be dialled again: every dial costs a signature of the card, and a thousand clients may want
 * one at once. After a failure dials pause, longer each time, and until the host has forgiven them; a hop that drops every connection
 * gets eight a minute.
 */
export class DialBudget {
  readonly #now: () => number;
  readonly #random: () => number;
  /** The host's, which other hops may share. */
  readonly penalties: HostPenalties;
  #dials: number[] = [];
  #failures = 0;
  #pausedUntil = 0;

  /** `now`: a monotonic clock in ms. `random`: from 0 to 1. */
  constructor(
    now: () => number = () => performance.now(),
    penalties = new HostPenalties(now),
    random: () => number = Math.random,
  ) {
    this.#now = now;
    this.#random = random;
    this.penalties = penalties;
  }

  /** How long to wait before the next dial, in ms; 0: dial now. */
  get waitMs(): number {
    const now = this.#now();
    this.#dials = this.#dials.filter((at) => now - at < WINDOW_MS);
    const oldest = this.#dials.length < MAX_DIALS_PER_WINDOW ? undefined : this.#dials[0];
    return Math.max(
      this.penalties.waitMs,
      this.#pausedUntil - now,
      oldest === undefined ? 0 : oldest + WINDOW_MS - now,
    );
  }

  /** Whether there is a dial to spare for a connection that can be done without. */
  get hasSpare(): boolean {
    return this.waitMs === 0 && this.#dials.length < MAX_BEFORE_FURTHER;
  }

  spend(): void {
    this.#dials.push(this.#now());
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pausedUntil = 0;
  }

  /** `wasDialled`: else the host knows nothing of it. */
  failed(error: CodedError, wasDialled = true): void {
    if (wasDialled) this.penalties.charge(error);
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Of many that failed at the same moment, no two dial again at the same moment.
    this.#pausedUntil = this.#now() + pause * (0.5 + this.#random() / 2);
  }
}
