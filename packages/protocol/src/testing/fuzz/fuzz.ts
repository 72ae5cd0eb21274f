import { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A decoder under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Good and nearly good inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** Words of its language. */
  readonly words?: readonly (string | Buffer)[];
  /** Bytes of the longest input; 2,048 where left out. */
  readonly longest?: number;
  /** Gives the decoder `input`. Throws where something happens that may not. */
  run(input: Buffer): void;
}

export interface FuzzOptions {
  readonly executions: number;
  readonly seed: number;
  /** `false`: as blind as a monkey, to show what the guidance is worth. */
  readonly isGuided?: boolean;
  /** Code whose coverage guides; farside's own where left out. */
  readonly isOurs?: (url: string) => boolean;
}

export interface FuzzReport {
  readonly executions: number;
  /** Inputs that reached code which none before them had. */
  readonly corpus: number;
  /** Characters of source code that ran. */
  readonly reached: number;
  /** What may not happen, with the input in hex; fuzzing ends at the first. */
  readonly failure: { readonly input: string; readonly error: unknown } | undefined;
}

const BATCH = 256;
const LAST = 3;
const farsides = (url: string): boolean =>
  /\/packages\/[a-z]+\/(?:src|dist)\//.test(url) && !/\/testing\//.test(url);

/**
 * Coverage-guided fuzzing: inputs that reach new code are kept, and further ones are made from those. Coverage is looked at once a
 * batch; only a batch with something new in it is taken apart, by halves, to find whose it was.
 */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const { executions, seed, isGuided = true, isOurs = farsides } = options;
  const random = new SeededRandom(seed);
  const words = (target.words ?? []).map((word) => Buffer.from(word));
  const longest = target.longest ?? 2_048;
  const corpus = [...target.seeds, Buffer.alloc(0)];
  let done = 0;
  let failure: FuzzReport["failure"];
  const coverage = new Coverage(isOurs);

  const runAll = (inputs: readonly Buffer[]): boolean => {
    for (const input of inputs) {
      done += 1;
      try {
        target.run(input);
      } catch (error) {
        failure ??= { input: input.toString("hex"), error };
        return false;
      }
    }
    return true;
  };
  /** Keeps those of `inputs` that reach something new. */
  const keepNew = (inputs: readonly Buffer[]): void => {
    if (!runAll(inputs)) return;
    const look = coverage.take();
    if (look.news === 0) return;
    const [only] = inputs;
    if (inputs.length === 1 && only !== undefined) {
      look.keep();
      if (isGuided) corpus.push(only);
      return;
    }
    const middle = inputs.length >> 1;
    for (const half of [inputs.slice(0, middle), inputs.slice(middle)])
      if (failure === undefined) keepNew(half);
    // What only all of them together reach, such as a full cache, is nobody's.
    look.keep();
  };

  for (const input of corpus.slice()) keepNew([input]);
  while (done < executions && failure === undefined) {
    const inputs = Array.from({ length: BATCH }, () => {
      // Half of them from what was found last: that is how one gets deeper.
      const recent = random.below(2) === 0 ? Math.max(0, corpus.length - LAST) : 0;
      const parent = corpus[recent + random.below(corpus.length - recent)] as Buffer;
      return mutate(parent, random, { others: corpus, words, longest });
    });
    keepNew(inputs);
  }
  return { executions: done, corpus: corpus.length, reached: coverage.size, failure };
}
