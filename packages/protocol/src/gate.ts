import { abortable } from "./abortable.ts";

export interface EnterOptions {
  readonly signal?: AbortSignal | undefined;
  /** Before all who wait without it. Default: no. */
  readonly isUrgent?: boolean | undefined;
}

/** Lets so many in at a time, in the order in which they came. */
export class Gate {
  readonly #urgent = new Set<() => void>();
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  /** How many wait to be let in. */
  get waiting(): number {
    return this.#urgent.size + this.#waiting.size;
  }

  /** Resolves once inside, with what leaves again (idempotent). Rejects with the signal's reason; who gives up waits no longer. */
  async enter({ signal, isUrgent = false }: EnterOptions = {}): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(isUrgent ? this.#urgent : this.#waiting, signal);
    let isInside = true;
    return () => {
      if (isInside) this.#leave();
      isInside = false;
    };
  }

  async #wait(line: Set<() => void>, signal: AbortSignal | undefined): Promise<void> {
    let letIn = (): void => {};
    const turn = new Promise<void>((resolve) => {
      letIn = resolve;
    });
    line.add(letIn);
    // A place that comes too late goes to the next.
    await abortable(turn, signal, () => this.#leave()).finally(() => line.delete(letIn));
  }

  #leave(): void {
    for (const line of [this.#urgent, this.#waiting]) {
      const [next] = line;
      if (next === undefined) continue;
      line.delete(next);
      next();
      return;
    }
    this.#free += 1;
  }
}
