import { MAX_QUEUED_EVENTS, type SessionEvent } from "@farside/protocol";

type WithoutTime<E> = E extends SessionEvent ? Omit<E, "at"> : never;
/** An event before it has its time. */
export type SessionEventDraft = WithoutTime<SessionEvent>;
export type SessionEventListener = (event: SessionEvent) => void;

/**
 * Hands a session's events to listeners (at once) and to readers (as fast as they read). A reader that falls
 * MAX_QUEUED_EVENTS behind loses the newest, and gets a `dropped` event where they are missing. Nothing ever waits for
 * a listener or a reader.
 */
export class EventLog {
  readonly #listeners = new Set<SessionEventListener>();
  readonly #readers = new Set<Reader>();
  readonly #now: () => Date;
  #isEnded = false;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  emit(draft: SessionEventDraft): void {
    if (this.#isEnded) return;
    const event = { ...draft, at: this.#now().toISOString() } as SessionEvent;
    for (const reader of this.#readers) reader.push(event);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's bug is its own: it must not end the session.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Calls `listener` with every event from now on; the returned function ends that. */
  subscribe(listener: SessionEventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** The events from now on; ends when the session is closed. Leaving the loop lets go of the queue. */
  read(): AsyncIterableIterator<SessionEvent> {
    const reader: Reader = new Reader(this.#now, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    if (this.#isEnded) reader.end();
    return reader;
  }

  /** Ends every reader once it has read what is queued. Idempotent. */
  end(): void {
    this.#isEnded = true;
    for (const reader of this.#readers) reader.end();
    this.#listeners.clear();
  }
}

class Reader implements AsyncIterableIterator<SessionEvent> {
  #queue: SessionEvent[] = [];
  #dropped = 0;
  #isEnded = false;
  #wake: (() => void) | undefined;
  readonly #now: () => Date;
  readonly #onDone: () => void;

  constructor(now: () => Date, onDone: () => void) {
    this.#now = now;
    this.#onDone = onDone;
  }

  push(event: SessionEvent): void {
    if (this.#isEnded) return;
    if (this.#queue.length >= MAX_QUEUED_EVENTS) this.#dropped += 1;
    else this.#queue.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<SessionEvent>> {
    for (;;) {
      const event = this.#queue.shift() ?? this.#takeDropped();
      if (event !== undefined) return { done: false, value: event };
      if (this.#isEnded) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<SessionEvent>> {
    this.#queue = [];
    this.#dropped = 0;
    this.end();
    this.#onDone();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeDropped(): SessionEvent | undefined {
    if (this.#dropped === 0) return undefined;
    const event: SessionEvent = { event: "dropped", at: this.#now().toISOString(), count: this.#dropped };
    this.#dropped = 0;
    return event;
  }
}
