import { abortable, deadline } from "@farside/protocol";

/** Longest wait for anything in these tests. */
const WAIT_MS = 20_000;

/** `promise`, or a failure that says what was missing. */
export async function within<T>(promise: Promise<T>, missing: () => string, ms = WAIT_MS): Promise<T> {
  const limit = deadline(ms, "too long");
  try {
    return await abortable(promise, limit.signal);
  } catch (error) {
    if (limit.signal.aborted) throw new Error(missing());
    throw error;
  } finally {
    limit.release();
  }
}
