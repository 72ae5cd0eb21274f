import { type CodedError, toCodedError } from "@farside/protocol";
import type { Target } from "./target.ts";

export interface TargetProbeOptions {
  readonly target: Pick<Target, "dial">;
  readonly intervalMs: number;
  /** Whether a dial would have a hop to go through: a probe never costs a signature. */
  readonly mayDial: () => boolean;
  /** Called after each dial. */
  readonly onResult: (error: CodedError | undefined) => void;
}

/** Dials a target now and then and lets go of it without a byte, to know whether it can be had. */
export class TargetProbe implements Disposable {
  readonly #options: TargetProbeOptions;
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  /** Dials at once, then again each `intervalMs` after the last dial was over. */
  constructor(options: TargetProbeOptions) {
    this.#options = options;
    void this.#probe();
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#ending.abort(new Error("the probe is over"));
  }

  async #probe(): Promise<void> {
    const { target, mayDial, onResult, intervalMs } = this.#options;
    const { signal } = this.#ending;
    if (mayDial()) {
      try {
        (await target.dial(signal)).destroy();
        if (!signal.aborted) onResult(undefined);
      } catch (error) {
        if (!signal.aborted) onResult(toCodedError(error));
      }
    }
    if (!signal.aborted) this.#timer = setTimeout(() => void this.#probe(), intervalMs).unref();
  }
}
