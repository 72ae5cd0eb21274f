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

/** Every sample behind a report. A suite's results are of one run; suites may be of different runs on one machine. */
export interface Results {
  readonly machine: Machine;
  readonly suites: Readonly<Record<string, SuiteResult>>;
}

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

/** Old results with those of a new run in their place; nothing of another machine is kept. */
export function mergeResults(old: Results | undefined, now: Results): Results {
  const isSame = old !== undefined && JSON.stringify(old.machine) === JSON.stringify(now.machine);
  return isSame ? { machine: now.machine, suites: { ...old.suites, ...now.suites } } : now;
}
