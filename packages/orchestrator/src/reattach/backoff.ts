export interface BackoffOptions {
  /** Before the second attempt, at most. */
  readonly baseMs: number;
  /** However many attempts there were, at most. */
  readonly capMs: number;
}

/**
 * How long to wait after `failures` attempts in a row have failed, in ms: full jitter, anything from 0 to a bound that
 * doubles with each, so that many who lost the same host don't come back at the same time.
 */
export function backoffMs(
  failures: number,
  { baseMs, capMs }: BackoffOptions,
  random: () => number = Math.random,
): number {
  if (failures <= 0) return 0;
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30)));
}
