import { BUDGET_MINUTES, type Dropped, type Results, type SuiteResult, type WholeRun } from "../results.ts";
import type { Suite } from "../suites/suite.ts";
import { suiteSection } from "./suite-section.ts";

/** bench/results.md: the machine, then each suite with its ratios first. */
export function report(suites: readonly Suite[], { machine, suites: results, ...rest }: Results): string {
  const measured = suites.flatMap((suite) => {
    const result = results[suite.id];
    return result === undefined ? [] : [{ suite, result }];
  });
  const dates = measured.map(({ result }) => result.at.slice(0, 10)).sort();
  const days = [...new Set([dates[0], dates.at(-1)])].join(" to ");
  return `${[
    `# Benchmark, ${days}`,
    `Written by \`npm run bench\`; how to read it and what it means: [docs/performance.md](../docs/performance.md). Every
sample is in [results.json](results.json).`,
    timesTaken(measured, rest.wholeRun),
    `Machine: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGB} GB, ${machine.system}, Linux ${machine.kernel}. ${machine.programs.join(", ")}.
Workstation, jump host and target are network namespaces of this one machine: client, forwarder, sshd and service share its
cores, and the network is memory. Numbers compare within a table; on other machines only the ratios mean something.`,
    ...(rest.dropped ? [missingSince(rest.dropped)] : []),
    "A ratio is that of the medians of all rounds; in brackets, the least and the most of the single rounds.",
    ...measured.map(({ suite, result }) => suiteSection(suite, result)),
  ].join("\n\n")}\n`;
}

interface Measured {
  readonly suite: Suite;
  readonly result: SuiteResult;
}

const minutes = (seconds: number): string => (seconds / 60).toFixed(1);

/** How long the last whole run took, what each suite on the page did, and what may be. */
function timesTaken(measured: readonly Measured[], wholeRun: WholeRun | undefined): string {
  const { whole, quick } = BUDGET_MINUTES;
  const budget = `The budget is ${whole} minutes for a whole run, ${quick} for \`--quick\`.`;
  const each = measured.map(({ suite, result }) => `${suite.id} ${result.seconds} s`).join(", ");
  const sum = measured.reduce((total, { result }) => total + result.seconds, 0);
  const suites = `The suites on this page: ${each}; ${minutes(sum)} minutes together.`;
  if (wholeRun === undefined) return `${budget} There was no whole run on this machine yet. ${suites}`;
  const { at, seconds, failed } = wholeRun;
  const isOver = seconds > whole * 60 ? ": **too long**" : "";
  const without =
    failed.length === 0 ? "" : ` **Failed in it: ${failed.join(", ")}**; what is shown of them is older.`;
  return `${budget} The last whole run, ${at.slice(0, 16).replace("T", " ")} UTC, took ${minutes(seconds)} minutes${isOver}.${without} ${suites}`;
}

/** So that nobody takes the page for all that was ever measured. */
function missingSince({ machine, suites }: Dropped): string {
  const { cpu, cores, kernel, programs } = machine;
  return `**Not on this page: ${suites.join(", ")}.** Figures of them there were on another machine (${cores} cores of ${cpu}, Linux ${kernel}, ${programs.join(", ")}); they
were dropped, since nothing on this page may be of two machines, and have not been measured again.`;
}
