import { setTimeout as delay } from "node:timers/promises";

export interface WaitOptions {
  /** Named in the error when the deadline passes. */
  readonly what: string;
  /** 20,000 where left out. */
  readonly withinMs?: number;
  /** 20 where left out. Only for state that gives no event. */
  readonly everyMs?: number;
  /** For a bound that is promised: of each pause at most twice its length counts, as a machine that is late with it is late with all else. */
  readonly isFair?: boolean;
  /** More for the error, asked for when the deadline has passed. */
  readonly detail?: () => string;
}

/** Asks `probe` until it gives something other than undefined, null or false, and returns that. Rejects at the deadline. */
export async function waitFor<T>(
  probe: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  options: WaitOptions,
): Promise<T> {
  const { what, withinMs = 20_000, everyMs = 20, isFair = false, detail } = options;
  let deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() >= deadline) {
      throw new Error(`${what} did not come within ${withinMs} ms${detail ? `\n${detail()}` : ""}`);
    }
    const pausedAt = performance.now();
    await delay(everyMs);
    if (isFair) deadline += Math.max(0, performance.now() - pausedAt - 2 * everyMs);
  }
}

/** `promise`, or an error that names `what` after `withinMs`. */
export async function within<T>(promise: Promise<T>, withinMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
