import { onAbort } from "./on-abort.ts";

/**
 * `promise`, or a rejection with the signal's reason as soon as it aborts. The work behind `promise` is not stopped: what it
 * brings later is given to `late` (so that a resource can be closed), or dropped with its failure.
 */
export function abortable<T>(
  promise: PromiseLike<T>,
  signal: AbortSignal | undefined,
  late?: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return Promise.resolve(promise);
  return new Promise<T>((resolve, reject) => {
    let isAborted = false;
    const unlink = onAbort(signal, (reason) => {
      isAborted = true;
      reject(reason);
    });
    promise.then(
      (value) => {
        unlink();
        if (isAborted) late?.(value);
        else resolve(value);
      },
      (error) => {
        unlink();
        reject(error);
      },
    );
  });
}
