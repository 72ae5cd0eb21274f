const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

/** How long to wait before the next try after `tries` that failed, in ms: longer each time, and never quite the same. `random`: 0 to 1. */
export function retryPause(tries: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries);
  return Math.round(FIRST_PAUSE_MS / 2 + random() * longest);
}
