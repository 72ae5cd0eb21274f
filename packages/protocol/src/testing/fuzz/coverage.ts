import { Session } from "node:inspector";

interface Script {
  readonly url: string;
  /** Outer ones before those within them. */
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

/** What ran since the last look. */
export interface Look {
  /** Characters of source that ran now and never before. */
  readonly news: number;
  /** From now on they are nothing new. */
  keep(): void;
}

/**
 * Which code of this process ran, as V8 itself counts it (precise block coverage of the inspector's Profiler). Kept by character of the
 * source, because V8 joins blocks that ran equally often. One at a time in a thread.
 */
export class Coverage {
  readonly #isOurs: (url: string) => boolean;
  readonly #ran = new Map<string, Uint8Array>();

  /** `isOurs`: which files count, by their URL or path. */
  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs;
    takeCounts();
  }

  /** Characters that ran in all. */
  get size(): number {
    return [...this.#ran.values()].reduce((sum, ran) => sum + ran.filter(Boolean).length, 0);
  }

  take(): Look {
    const painted = takeCounts()
      .filter(({ url }) => this.#isOurs(url))
      .map(({ url, functions }) => ({ url, now: paint(functions) }));
    const news = painted.reduce((sum, { url, now }) => {
      const before = this.#ran.get(url);
      return (
        sum + now.reduce((count, isRun, at) => (isRun === 1 && before?.[at] !== 1 ? count + 1 : count), 0)
      );
    }, 0);
    return {
      news,
      keep: () => {
        for (const { url, now } of painted) this.#ran.set(url, joined(this.#ran.get(url), now));
      },
    };
  }
}

/** Of this thread, from the first use on: V8 counts no blocks of a function that it compiled between two profilings. */
let session: Session | undefined;

/** What ran since the last call. */
function takeCounts(): readonly Script[] {
  if (session === undefined) {
    session = new Session();
    session.connect();
    post("Profiler.enable");
    post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }
  return (post("Profiler.takePreciseCoverage") as { result: Script[] }).result;
}

/** Within one thread the answer comes before `post` returns. */
function post(method: string, params: object = {}): unknown {
  let answer: unknown;
  session?.post(method, params, (error, result) => {
    if (error !== null) throw new Error(`${method}: ${error.message}`);
    answer = result;
  });
  return answer;
}

/** 1 for each character that ran: an inner range has the last word about its own. */
function paint(functions: Script["functions"]): Uint8Array {
  const ranges = functions.flatMap((each) => each.ranges);
  const ran = new Uint8Array(ranges.reduce((end, { endOffset }) => Math.max(end, endOffset), 0));
  for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return ran;
}

function joined(before: Uint8Array | undefined, now: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.max(before?.length ?? 0, now.length));
  all.set(before ?? []);
  for (const [at, isRun] of now.entries()) if (isRun === 1) all[at] = 1;
  return all;
}
