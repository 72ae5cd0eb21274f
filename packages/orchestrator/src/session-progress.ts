import { CodedError } from "@farside/protocol";
import { initialState, isRunning, next, type SessionState, type SessionTransition } from "./session-state.ts";

/** Where a session is, for those who wait for it to go on. */
export class SessionProgress {
  readonly #onState: (state: SessionState) => void;
  readonly #leaving = new AbortController();
  readonly #escalated = new AbortController();
  #state: SessionState = initialState;

  /** `onState` is called with the state after each transition. */
  constructor(onState: (state: SessionState) => void) {
    this.#onState = onState;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Aborts, with why, when the session is no longer on its way to ready, or there. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Aborts when open relays have no grace, or no more of it. */
  get escalated(): AbortSignal {
    return this.#escalated.signal;
  }

  dispatch(transition: SessionTransition): void {
    this.#state = next(this.#state, transition);
    this.#onState(this.#state);
    if (isRunning(this.#state)) return;
    if (this.#state.phase === "draining" && this.#state.graceMs === 0) this.#escalated.abort();
    const reason = "failure" in this.#state ? this.#state.failure : undefined;
    this.#leaving.abort(reason ?? new CodedError("canceled", "the session was stopped"));
  }

  /** Resolves when `leaving` aborts. */
  left(): Promise<void> {
    const { signal } = this.#leaving;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
}
