import { usageError } from "../usage-error.ts";

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Timers of Node hold 2^31 milliseconds; a longer one would fire at once. */
const MAX_DURATION_MS = 24 * UNITS_MS.d;

/**
 * Milliseconds of `15`, `15s`, `1.5m`, `2h` or `1d`; a bare number is seconds. Throws `usage.invalid` where it is no
 * duration, shorter than `minMs`, or longer than 24 days.
 */
export function parseDuration(text: string, option: string, minMs = 0): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d)?$/.exec(text);
  if (match === null) {
    throw usageError(
      `${option}: "${text}" is not a duration`,
      "Write seconds, or a number and a unit: 15, 15s, 2m, 1h, 1d.",
    );
  }
  const ms = Math.round(Number(match[1]) * UNITS_MS[(match[2] ?? "s") as keyof typeof UNITS_MS]);
  if (ms < minMs) throw usageError(`${option}: "${text}" is shorter than the least, ${minMs / 1000}s`);
  if (ms > MAX_DURATION_MS) throw usageError(`${option}: "${text}" is longer than the most, 24d`);
  return ms;
}
