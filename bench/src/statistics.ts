/** The middle of a row of numbers; of an even count the mean of the two in the middle. NaN for none. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A number of several runs: the median and how far the runs lie apart. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

export function spreadOf(numbers: readonly number[]): Spread {
  const known = numbers.filter((number) => Number.isFinite(number));
  return {
    median: median(known),
    least: known.length === 0 ? Number.NaN : Math.min(...known),
    most: known.length === 0 ? Number.NaN : Math.max(...known),
    count: known.length,
  };
}

/**
 * How `ours` compares with `theirs`: the ratio of the medians, and the least and most of the ratios round by round (the two
 * of one round were measured seconds apart, so what slowed the machine slowed both). Rounds are paired by their index.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const pairs = ours
    .map((number, round) => number / (theirs[round] ?? Number.NaN))
    .filter((ratio) => Number.isFinite(ratio));
  const { least, most, count } = spreadOf(pairs);
  return { median: spreadOf(ours).median / spreadOf(theirs).median, least, most, count };
}

/** The number below which `share` (0 to 1) of the numbers lie. NaN for none. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
