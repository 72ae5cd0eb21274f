import { abortable, anySignal, CodedError } from "@farside/protocol";
import { type CardPresence, type CardPresenceEvent, nextPresence } from "./card-presence.ts";

export interface PresenceWatchOptions {
  /** One look at the reader; rejects where there is nothing to be learned. */
  readonly look: () => Promise<void>;
  readonly onChange: (presence: CardPresence) => void;
  readonly onRemoved: () => void;
  readonly onInserted: () => void;
}

/** Where the card is, and everybody for whom that matters: who waits for it, and whose PIN entry is of no use without it. */
export class PresenceWatch {
  readonly #options: PresenceWatchOptions;
  #state: CardPresence = { phase: "pin-needed" };
  #timer: NodeJS.Timeout | undefined;
  /** Aborts when the card goes. */
  #stay = new AbortController();
  /** Each is called when the card is in again. */
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(options: PresenceWatchOptions) {
    this.#options = options;
  }

  get state(): CardPresence {
    return this.#state;
  }

  get isOut(): boolean {
    return this.#state.phase === "removed" || this.#state.phase === "waiting";
  }

  /** It looks: an insertion will be noticed. */
  get isRunning(): boolean {
    return this.#timer !== undefined && !this.#isClosed;
  }

  /** Looks every `intervalMs` from now on, until it is closed. */
  start(intervalMs: number): void {
    const look = async (): Promise<void> => {
      await this.#options.look().catch(() => {});
      if (!this.#isClosed) this.#timer = setTimeout(look, intervalMs).unref();
    };
    this.#timer = setTimeout(look, intervalMs).unref();
  }

  note(event: CardPresenceEvent): void {
    const before = this.#state;
    this.#state = nextPresence(before, event);
    if (this.#state === before) return;
    this.#options.onChange(this.#state);
    if (event.type === "removed") {
      const stay = this.#stay;
      this.#stay = new AbortController();
      stay.abort(
        new CodedError("card.removed", "cannot log in: the card was taken out", {
          leg: "card",
          hint: "put the card back and try again",
        }),
      );
      this.#options.onRemoved();
    }
    if (event.type === "inserted") {
      this.#options.onInserted();
      this.#letGo();
    }
  }

  /** Resolves when the card is in, or the watch closed. Rejects with the signal's reason. */
  async untilInserted(signal: AbortSignal | undefined): Promise<void> {
    if (!this.isOut || this.#isClosed) return;
    let go = (): void => {};
    const inserted = new Promise<void>((resolve) => {
      go = resolve;
    });
    this.#waiting.add(go);
    this.note({ type: "waits", waiting: this.#waiting.size });
    try {
      await abortable(inserted, signal);
    } finally {
      this.#waiting.delete(go);
      this.note({ type: "waits", waiting: this.#waiting.size });
    }
  }

  /** Runs `entry` with a signal that also aborts, with `card.removed`, when the card goes. */
  async whileIn<Result>(
    signal: AbortSignal | undefined,
    entry: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    using either = anySignal([signal, this.#stay.signal]);
    return await entry(either.signal);
  }

  /** Looks no more, and lets go of everybody who waits. Idempotent. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#letGo();
  }

  #letGo(): void {
    for (const go of [...this.#waiting]) go();
  }
}
