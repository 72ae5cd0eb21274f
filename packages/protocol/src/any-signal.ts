import { onAbort } from "./on-abort.ts";

/** A signal that hangs on others or on a timer until it is released. */
export interface LinkedSignal extends Disposable {
  readonly signal: AbortSignal;
  /** Takes every listener and timer away; the signal no longer changes. Idempotent. */
  release(): void;
}

/**
 * A signal that aborts with the reason of the first of `signals` that does, at once where one already has; undefined
 * ones are left out. Whoever makes it releases it when the wait is over, so that a long-lived signal (the session's)
 * collects no listeners. It stands for `AbortSignal.any`, which Node 18 does not have.
 */
export function anySignal(signals: Iterable<AbortSignal | undefined>): LinkedSignal {
  const controller = new AbortController();
  const unlink: (() => void)[] = [];
  const release = () => {
    for (const step of unlink.splice(0)) step();
  };
  for (const signal of signals) {
    if (controller.signal.aborted) break;
    if (signal === undefined) continue;
    unlink.push(
      onAbort(signal, (reason) => {
        release();
        controller.abort(reason);
      }),
    );
  }
  return { signal: controller.signal, release, [Symbol.dispose]: release };
}
