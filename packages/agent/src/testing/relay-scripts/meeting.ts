import type { ScriptEnd } from "./relay-script.ts";

/** Where two ends wait for each other. */
export class Meeting {
  readonly #waiting = new Map<ScriptEnd, () => void>();
  readonly #gone = new Set<ScriptEnd>();

  /** Resolves when the other end is here, too, or never will be. */
  join(end: ScriptEnd): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(end, resolve);
      this.#releaseIfAll();
    });
  }

  /** This end comes no more. */
  leave(end: ScriptEnd): void {
    this.#gone.add(end);
    this.#releaseIfAll();
  }

  #releaseIfAll(): void {
    if (this.#waiting.size + this.#gone.size < 2) return;
    for (const release of this.#waiting.values()) release();
    this.#waiting.clear();
  }
}
