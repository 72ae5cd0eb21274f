import { RESUMED_AT_ONCE } from "./limits.ts";

/** Who waits for a congested connection, first come first served, a few each turn so that they don't congest it at once. */
export class ReliefQueue {
  readonly #waiting = new Set<() => void>();
  readonly #isCongested: () => boolean;
  #isScheduled = false;

  constructor(isCongested: () => boolean) {
    this.#isCongested = isCongested;
  }

  add(pump: () => void): void {
    this.#waiting.add(pump);
  }

  readonly relieve = (): void => {
    this.#isScheduled = false;
    let left = RESUMED_AT_ONCE;
    for (const pump of this.#waiting) {
      if (left === 0) break;
      left -= 1;
      this.#waiting.delete(pump);
      pump();
    }
    if (this.#waiting.size === 0 || this.#isScheduled || this.#isCongested()) return;
    this.#isScheduled = true;
    setImmediate(this.relieve);
  };

  clear(): void {
    this.#waiting.clear();
  }
}
