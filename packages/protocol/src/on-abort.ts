import { setMaxListeners } from "node:events";

/** Signals that were told not to warn: telling them costs more than listening does. */
const unlimited = new WeakSet<AbortSignal>();

/**
 * Calls `listener` with the reason when `signal` aborts, at once where it has; returns what takes the listener away. For
 * signals that many wait on: Node warns on stderr at the eleventh plain listener.
 */
export function onAbort(signal: AbortSignal, listener: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    listener(signal.reason);
    return () => undefined;
  }
  const run = () => listener(signal.reason);
  if (!unlimited.has(signal)) {
    setMaxListeners(0, signal);
    unlimited.add(signal);
  }
  signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}
