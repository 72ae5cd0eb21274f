/** As the unit has it: StartLimitBurst, StartLimitIntervalSec. */
const BURST = 20;
const INTERVAL_MS = 300_000;

/** Whether a further start is allowed at `now`, which is then remembered in `starts`. */
export function mayStart(starts: number[], now: number): boolean {
  while (starts[0] !== undefined && starts[0] <= now - INTERVAL_MS) starts.shift();
  if (starts.length >= BURST) return false;
  starts.push(now);
  return true;
}
