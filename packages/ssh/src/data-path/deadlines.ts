/** How often it is looked who is late. */
const TICK_MS = 1_000;

export interface Deadline {
  /** By `performance.now()`. */
  readonly at: number;
  readonly missed: () => void;
}

/**
 * Deadlines of many short waits with one timer, at most a second late. Node.js keeps a list for each length of a timer and throws it
 * away with its last one: with one wait after the other that is made anew for each.
 */
export class Deadlines {
  readonly #waiting = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;

  /** Calls `missed` when `ms` are over, unless `reached` is called before. */
  set(ms: number, missed: () => void): Deadline {
    const deadline = { at: performance.now() + ms, missed };
    this.#waiting.add(deadline);
    this.#timer ??= this.#lookIn(Math.min(ms, TICK_MS));
    return deadline;
  }

  /** Idempotent. */
  reached(deadline: Deadline): void {
    this.#waiting.delete(deadline);
  }

  #lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    let next = TICK_MS;
    for (const deadline of this.#waiting) {
      const left = deadline.at - now;
      if (left > 0) next = Math.min(next, left);
      else {
        this.#waiting.delete(deadline);
        deadline.missed();
      }
    }
    if (this.#waiting.size > 0) this.#timer ??= this.#lookIn(Math.ceil(next));
  }
}
