import { setMaxListeners } from "node:events";

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
  setMaxListeners(0, signal);
  signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}
