import { abortable, CodedError, onAbort } from "@farside/protocol";

/** Tasks that may wait in all. */
const MAX_WAITING = 1_000;
/** Of these, how many one asker may have: nobody pushes the others out. */
const MAX_WAITING_OF_ONE = 100;
const TOLD_AFTER_MS = 1_000;
const TOLD_AGAIN_AFTER_MS = 5_000;

export interface TurnstileOptions {
  /** Something has waited for a second; told again every five, with how many there are now. Must not throw. */
  readonly onLongWait?: ((waiting: number) => void) | undefined;
}

export interface TurnOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whose it is: askers take turns, however many tasks each has waiting. Default: one and the same for all who name none. */
  readonly asker?: string | undefined;
}

interface Waiting {
  readonly since: number;
  /** Lets the task run; settles when it has ended. Never rejects. */
  readonly run: () => Promise<void>;
}

/**
 * Lets one task run at a time: askers take turns, and each asker's tasks run in the order in which they came. What waits is bounded, and
 * `card.busy` above that.
 */
export class Turnstile {
  readonly #options: TurnstileOptions;
  /** Askers in the order of their turns. */
  readonly #lanes = new Map<string | undefined, Set<Waiting>>();
  #waiting = 0;
  #isRunning = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TurnstileOptions = {}) {
    this.#options = options;
  }

  /** A task runs or waits. */
  get isBusy(): boolean {
    return this.#isRunning || this.#waiting > 0;
  }

  /**
   * Runs `task` when its turn comes. A task whose signal is aborted before that is never started, and waits no longer; one
   * that is running goes on to its end, but whoever waits for it is let go at once. Rejects with `card.busy` where too much waits.
   */
  run<Result>(task: () => Promise<Result>, { signal, asker }: TurnOptions = {}): Promise<Result> {
    const lane = this.#lanes.get(asker);
    if (this.#waiting >= MAX_WAITING || (lane?.size ?? 0) >= MAX_WAITING_OF_ONE)
      return Promise.reject(tooMany(this.#waiting));
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const done = new Promise<Result>((resolve, reject) => {
      const entry: Waiting = {
        since: performance.now(),
        run: async () => {
          unlink();
          await Promise.resolve().then(task).then(resolve, reject);
        },
      };
      const unlink = signal === undefined ? () => {} : onAbort(signal, () => this.#remove(asker, entry));
      if (lane === undefined) this.#lanes.set(asker, new Set([entry]));
      else lane.add(entry);
      this.#waiting += 1;
    });
    this.#next();
    this.#tellLater(TOLD_AFTER_MS);
    return abortable(done, signal);
  }

  #next(): void {
    if (this.#isRunning) return;
    const [first] = this.#lanes;
    if (first === undefined) return;
    const [asker, lane] = first;
    const [entry] = lane;
    if (entry === undefined) throw new Error("an empty lane");
    // Whoever has more waits behind the others.
    this.#lanes.delete(asker);
    this.#lanes.set(asker, lane);
    this.#remove(asker, entry);
    this.#isRunning = true;
    void entry.run().then(() => {
      this.#isRunning = false;
      this.#next();
    });
  }

  #remove(asker: string | undefined, entry: Waiting): void {
    const lane = this.#lanes.get(asker);
    if (lane?.delete(entry) !== true) return;
    this.#waiting -= 1;
    if (lane.size === 0) this.#lanes.delete(asker);
    if (this.#waiting > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tellLater(afterMs: number): void {
    if (this.#timer !== undefined || this.#waiting === 0 || this.#options.onLongWait === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const waitedMs = performance.now() - this.#oldest();
      if (waitedMs >= TOLD_AFTER_MS) this.#options.onLongWait?.(this.#waiting);
      this.#tellLater(waitedMs >= TOLD_AFTER_MS ? TOLD_AGAIN_AFTER_MS : TOLD_AFTER_MS - waitedMs);
    }, afterMs).unref();
  }

  /** Since when the longest waiting has waited. */
  #oldest(): number {
    const firsts = [...this.#lanes.values()].flatMap(([entry]) => (entry === undefined ? [] : [entry.since]));
    return Math.min(...firsts);
  }
}

function tooMany(waiting: number): CodedError {
  return new CodedError("card.busy", `${waiting} signatures wait for the card already`, {
    leg: "card",
    hint: "Each login needs one. Start fewer sessions at a time.",
  });
}
