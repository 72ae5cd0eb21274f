import { setTimeout as delay } from "node:timers/promises";

const STEP_MS = 30;

/** Resolves once `isTrue` does with true; rejects with `what` after `timeoutMs`. */
export async function until(what: string, timeoutMs: number, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`virtual card: not within ${timeoutMs} ms: ${what}`);
    await delay(STEP_MS);
  }
}
