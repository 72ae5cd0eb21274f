import { CodedError } from "@farside/protocol/errors";
import type { Interrupt } from "./exit-code.ts";

/** Signals this soon after the last that counted are the same Ctrl-C: npm and terminals deliver it twice. */
const SAME_KEYPRESS_MS = 1000;

export type InterruptStep = "end" | "hurry" | "kill";
const steps: readonly InterruptStep[] = ["end", "hurry", "kill"];

/**
 * What the signals mean: the first ends the session, with its grace; a second one ends the grace at once; a third kills.
 * One less than a second after the last that counted is ignored. `main.ts` feeds it; who has something to end listens.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #now: () => number;
  readonly #listeners = new Set<(step: InterruptStep) => void>();
  #counted = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #first: Interrupt | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Aborts at the first signal, with a `canceled` error. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first signal received. */
  get first(): Interrupt | undefined {
    return this.#first;
  }

  /** Takes one signal and returns the step it led to, `undefined` where it is an echo. */
  take(signal: Interrupt): InterruptStep | undefined {
    const at = this.#now();
    if (at - this.#lastAt < SAME_KEYPRESS_MS) return undefined;
    const step = steps[Math.min(this.#counted, steps.length - 1)] ?? "kill";
    this.#counted += 1;
    this.#lastAt = at;
    this.#first ??= signal;
    if (step === "end") {
      this.#controller.abort(new CodedError("canceled", `stopped by ${signal} before it was ready`));
    }
    for (const listener of this.#listeners) listener(step);
    return step;
  }

  /** Calls `listener` with every step from now on; returns what takes it off again. */
  onStep(listener: (step: InterruptStep) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
