import type { Results } from "../results.ts";
import type { Suite } from "../suites/suite.ts";
import { suiteSection } from "./suite-section.ts";

/** bench/results.md: the machine, then each suite with its ratios first. */
export function report(suites: readonly Suite[], { machine, suites: results }: Results): string {
  const measured = suites.flatMap((suite) => {
    const result = results[suite.id];
    return result === undefined ? [] : [{ suite, result }];
  });
  const dates = measured.map(({ result }) => result.at.slice(0, 10)).sort();
  const days = [...new Set([dates[0], dates.at(-1)])].join(" to ");
  const minutes = measured.reduce((sum, { result }) => sum + result.seconds, 0) / 60;
  return `${[
    `# Benchmark, ${days}`,
    `Written by \`npm run bench\` (${minutes.toFixed(0)} minutes); how to read it and what it means: [docs/performance.md](../docs/performance.md). Every
sample is in [results.json](results.json).`,
    `Machine: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGB} GB, ${machine.system}, Linux ${machine.kernel}. ${machine.programs.join(", ")}.
Workstation, jump host and target are network namespaces of this one machine: client, forwarder, sshd and service share its
cores, and the network is memory. Numbers compare within a table; on other machines only the ratios mean something.`,
    "A ratio is that of the medians of all rounds; in brackets, the least and the most of the single rounds.",
    ...measured.map(({ suite, result }) => suiteSection(suite, result)),
  ].join("\n\n")}\n`;
}
