import { MAX_QUEUED_EVENTS } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import type { Outbox } from "./outbox.ts";

export interface EmitOptions {
  /** For what happens a few times in a session: it has as much room again in a full queue. */
  readonly keep?: boolean;
  /** For what happens often and is in no hurry: it may go out some milliseconds later, with others, still in order. */
  readonly mayWait?: boolean;
}

export interface EventQueueOptions {
  /** The queue is half empty again after events were dropped: how many, since the last call. */
  readonly onRoom: (dropped: number) => void;
  readonly onUnsendable: (error: unknown, name: string) => void;
}

/** Puts events into an outbox, at most MAX_QUEUED_EVENTS at a time and as many again of those to keep; drops and counts the rest. */
export class EventQueue {
  readonly #outbox: Outbox;
  readonly #options: EventQueueOptions;
  #queued = 0;
  #dropped = 0;
  #unreported = 0;

  constructor(outbox: Outbox, options: EventQueueOptions) {
    this.#outbox = outbox;
    this.#options = options;
  }

  /** Events dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  add(name: string, data: WireValue, { keep = false, mayWait = false }: EmitOptions = {}): void {
    if (this.#queued >= MAX_QUEUED_EVENTS * (keep ? 2 : 1)) {
      this.#dropped += 1;
      this.#unreported += 1;
      return;
    }
    this.#queued += 1;
    this.#outbox.add({
      message: { kind: "event", name, data },
      mayWait,
      onTaken: () => this.#taken(),
      onUnsendable: (error) => this.#options.onUnsendable(error, name),
    });
  }

  #taken(): void {
    this.#queued -= 1;
    // Not at the first free place: under a flood, every second event would then be the news of one dropped.
    if (this.#unreported === 0 || this.#queued > MAX_QUEUED_EVENTS / 2) return;
    const count = this.#unreported;
    this.#unreported = 0;
    this.#options.onRoom(count);
  }
}
