import type { LinkedSignal } from "./any-signal.ts";
import { CodedError, type CodedErrorOptions } from "./errors.ts";
import { onAbort } from "./on-abort.ts";

/** Longest delay that a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface DeadlineOptions extends CodedErrorOptions {
  /** Aborts the deadline's signal too, with its own reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A signal that aborts `ms` milliseconds from now (Infinity: never) with a CodedError `timeout`, or with the error that
 * `reason` makes, and earlier when `options.signal` does. `reason` as a text says what took too long on what
 * ("connecting to jump-1 took longer than 10 s"). The maker releases it when the wait is over: until then its timer
 * keeps the process alive.
 */
export function deadline(
  ms: number,
  reason: string | (() => CodedError),
  options: DeadlineOptions = {},
): LinkedSignal {
  if (Number.isNaN(ms) || ms < 0) throw new RangeError(`a deadline in ${ms} ms`);
  const { signal, ...errorOptions } = options;
  const controller = new AbortController();
  const expire = () =>
    controller.abort(typeof reason === "string" ? new CodedError("timeout", reason, errorOptions) : reason());
  const endsAt = performance.now() + ms;
  let timer: NodeJS.Timeout | undefined;
  const arm = (left: number) => {
    if (left > MAX_TIMER_MS) timer = setTimeout(() => arm(endsAt - performance.now()), MAX_TIMER_MS);
    else timer = setTimeout(expire, left);
  };
  let unlink = () => {};
  const release = () => {
    clearTimeout(timer);
    unlink();
  };
  if (signal !== undefined) {
    unlink = onAbort(signal, (reason) => {
      release();
      controller.abort(reason);
    });
  }
  if (ms !== Number.POSITIVE_INFINITY && !controller.signal.aborted) arm(ms);
  return { signal: controller.signal, release, [Symbol.dispose]: release };
}
