import type { Measured, Sample } from "../sample.ts";

export interface InterleaveOptions<W extends { readonly name: string }> {
  readonly ways: readonly W[];
  readonly cases: readonly string[];
  readonly rounds: number;
  /** Undefined: this way has no such case, or not in this round. */
  readonly measure: (way: W, name: string, round: number) => Promise<Measured | undefined>;
  readonly progress: (text: string) => void;
}

/**
 * Measures every way in every case, all of them once before any of them again, so that what slows the machine for a while
 * slows all alike. Each round begins with another way: none always has the same one before it.
 */
export async function interleave<W extends { readonly name: string }>(
  options: InterleaveOptions<W>,
): Promise<Sample[]> {
  const { ways, cases, rounds, measure, progress } = options;
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const name of cases) {
      for (const way of rotated(ways, round)) {
        progress(`round ${round + 1} of ${rounds}: ${name}, ${way.name}`);
        const measured = await measure(way, name, round);
        if (measured !== undefined) samples.push({ forwarder: way.name, case: name, round, measured });
      }
    }
  }
  return samples;
}

/** The same in the same order, beginning `by` places later. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
