import { readFile, writeFile } from "node:fs/promises";
import type { Machine } from "./machine.ts";
import type { Sample } from "./sample.ts";

/** What one run of one suite gave. */
export interface SuiteResult {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commit: string;
  /** Share of the cores that others used right before, 0 to 1. */
  readonly busyBefore: number;
  readonly seconds: number;
  readonly isQuick: boolean;
  readonly samples: readonly Sample[];
}

/** A run of every suite with its own rounds. */
export interface WholeRun {
  /** ISO 8601, UTC: its beginning. */
  readonly at: string;
  readonly seconds: number;
  /** Suites that failed: what there is of them is older. */
  readonly failed: readonly string[];
}

/** What was measured before the machine was another one, and not since. */
export interface Dropped {
  readonly machine: Machine;
  readonly suites: readonly string[];
}

/** Every sample behind a report. A suite's results are of one run; suites may be of different runs on one machine. */
export interface Results {
  readonly machine: Machine;
  readonly suites: Readonly<Record<string, SuiteResult>>;
  /** The last one on this machine. */
  readonly wholeRun?: WholeRun | undefined;
  readonly dropped?: Dropped | undefined;
}

/** How long a run of every suite may take, and one in quick mode. */
export const BUDGET_MINUTES = { whole: 20, quick: 2 } as const;

/** Above it, the machine was not quiet and numbers are hints only. */
export const QUIET_SHARE = 0.1;

/** What is in the file; undefined where there is none. */
export async function readResults(path: string): Promise<Results | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export async function writeResults(path: string, results: Results): Promise<void> {
  // A line for each sample: a new run is a readable difference.
  const text = JSON.stringify(
    results,
    (_, value: unknown) => (isSample(value) ? `\0${JSON.stringify(value)}\0` : value),
    1,
  ).replace(/"\\u0000(.*?)\\u0000"/g, (_, sample: string) => JSON.parse(`"${sample}"`) as string);
  await writeFile(path, `${text}\n`);
}

const isSample = (value: unknown): value is Sample =>
  typeof value === "object" && value !== null && "forwarder" in value && "measured" in value;

/** Old results with those of a new run in their place. Nothing of another machine is kept, but which suites that leaves without results. */
export function mergeResults(old: Results | undefined, now: Results): Results {
  if (old === undefined) return now;
  const isSame = JSON.stringify(old.machine) === JSON.stringify(now.machine);
  const suites = isSame ? { ...old.suites, ...now.suites } : now.suites;
  const before = [...Object.keys(old.suites), ...(old.dropped?.suites ?? [])];
  const lost = isSame ? old.dropped : { machine: old.machine, suites: before };
  const missing = lost?.suites.filter((id) => suites[id] === undefined) ?? [];
  const wholeRun = now.wholeRun ?? (isSame ? old.wholeRun : undefined);
  return {
    ...{ machine: now.machine, suites },
    ...(wholeRun && { wholeRun }),
    ...(lost !== undefined && missing.length > 0 && { dropped: { ...lost, suites: missing } }),
  };
}
