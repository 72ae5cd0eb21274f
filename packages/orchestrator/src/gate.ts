import { abortable } from "@farside/protocol";

/** Lets so many in at a time, in the order in which they came. */
export class Gate {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  /** How many wait to be let in. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves once inside, with what leaves again (idempotent). Rejects with the signal's reason; who gives up waits no longer. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let isInside = true;
    return () => {
      if (isInside) this.#leave();
      isInside = false;
    };
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    let letIn = (): void => {};
    const turn = new Promise<void>((resolve) => {
      letIn = resolve;
    });
    this.#waiting.add(letIn);
    // A place that comes too late goes to the next.
    await abortable(turn, signal, () => this.#leave()).finally(() => this.#waiting.delete(letIn));
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
