import { abortable } from "@farside/protocol";

/** Lets one task run at a time, in the order in which they came. */
export class Turnstile {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /**
   * Runs `task` when those before it have ended. A task whose signal is aborted before its turn is never started; one
   * that is running goes on to its end, but whoever waits for it is let go at once.
   */
  run<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    this.#waiting += 1;
    const done = this.#last.then(() => {
      signal?.throwIfAborted();
      return task();
    });
    this.#last = done
      .catch(() => {})
      .then(() => {
        this.#waiting -= 1;
      });
    return abortable(done, signal);
  }
}
