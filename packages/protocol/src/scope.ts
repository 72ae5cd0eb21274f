type Resource = AsyncDisposable | Disposable;
type Step = () => unknown;

/**
 * Owns resources and closes them together, newest first. It stands for `AsyncDisposableStack`, which Node 20 does not
 * have. `close()` runs every step even where some fail, then rejects with the one failure or with an AggregateError of
 * all; every call returns the same promise.
 */
export class Scope implements AsyncDisposable {
  #steps: Step[] = [];
  #closing: Promise<void> | undefined;

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Takes `resource` over and returns it. A scope that is closed (or closing) closes it at once and throws. */
  use<T extends Resource>(resource: T): T {
    this.defer(() => dispose(resource));
    return resource;
  }

  /** Runs `step` at the close. A scope that is closed (or closing) runs it at once and throws. */
  defer(step: Step): void {
    if (this.#closing === undefined) {
      this.#steps.push(step);
      return;
    }
    // Nobody is left to hear of a failure; the throw below tells that the scope came too late.
    void (async () => step())().catch(() => undefined);
    throw new Error("the scope is closed");
  }

  /** Hands everything over to a new scope; this one is closed and empty. For `connect` functions that release all on failure only. */
  move(): Scope {
    if (this.#closing !== undefined) throw new Error("the scope is closed");
    const heir = new Scope();
    heir.#steps = this.#steps;
    this.#steps = [];
    this.#closing = Promise.resolve();
    return heir;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} things failed to close`);
  }
}

function dispose(resource: Resource): unknown {
  if (Symbol.asyncDispose in resource) return resource[Symbol.asyncDispose]();
  return resource[Symbol.dispose]();
}
