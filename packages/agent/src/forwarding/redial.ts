import { type CodedError, errorTable } from "@farside/protocol";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export interface RedialOptions {
  /** Begins a try; how it ends is told by `after` or `succeeded`. */
  readonly dial: () => void;
  /** The shortest pause that is allowed now, in ms. */
  readonly soonestMs: () => number;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Has a lost connection dialled again until it is there. Pauses grow to a minute and are drawn from their whole length ("full
 * jitter"), those that are longer than that from what follows, so that a thousand agents don't come back at the same moment. A refusal is not
 * tried again.
 */
export class Redial {
  readonly #options: RedialOptions;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: RedialOptions) {
    this.#options = options;
  }

  /** Whether a try is due already. */
  get isDue(): boolean {
    return this.#timer !== undefined;
  }

  /** Resolves when the try that is due begins, or is stopped. */
  whenOver(): Promise<void> {
    return this.isDue ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  /** Takes a loss or a failed try; returns in how many ms the next begins, or undefined where there is none. */
  after(error: CodedError): number | undefined {
    if (!mayPass(error)) return undefined;
    const { dial, soonestMs, random = Math.random } = this.#options;
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries);
    this.#tries += 1;
    const drawn = random() * longest;
    const pause = Math.round(Math.max(drawn, soonestMs() + drawn / 2));
    this.stop();
    this.#timer = setTimeout(() => {
      this.stop();
      dial();
    }, pause).unref();
    return pause;
  }

  succeeded(): void {
    this.#tries = 0;
    this.stop();
  }

  /** Idempotent. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** Whether the same try may succeed later without a change of anybody's. The guard's budget fills up again. */
function mayPass({ code, data }: CodedError): boolean {
  return errorTable[code].retry || data?.["reason"] === "budget";
}
