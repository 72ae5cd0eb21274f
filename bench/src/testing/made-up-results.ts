import type { Results, SuiteResult } from "../results.ts";
import type { MetricName, Sample } from "../sample.ts";
import type { Suite } from "../suites/suite.ts";

/** Samples of one case: for each forwarder its numbers, round by round. */
export function madeUpSamples(
  name: string,
  metric: MetricName,
  numbers: Readonly<Record<string, readonly number[]>>,
): Sample[] {
  return Object.entries(numbers).flatMap(([forwarder, rounds]) =>
    rounds.map((number, round) => ({ forwarder, case: name, round, measured: { [metric]: number } })),
  );
}

export function madeUpResult(samples: readonly Sample[], busyBefore = 0.01): SuiteResult {
  return {
    at: "2026-01-02T03:04:05.678Z",
    commit: "abc1234",
    busyBefore,
    seconds: 61,
    isQuick: false,
    samples,
  };
}

export function madeUpResults(suites: Readonly<Record<string, SuiteResult>>, cpu = "Some CPU"): Results {
  const machine = { cpu, cores: 2, memoryGB: 8, kernel: "6.1", system: "Debian", programs: ["Node 20"] };
  return { machine, suites };
}

export const madeUpSuite: Suite = {
  id: "bulk-ssh",
  title: "Bulk, SSH target",
  about: "Bytes.",
  ways: [
    { name: "farside", command: "farside forward" },
    { name: "ssh -L", command: "ssh -N" },
    { name: "unmeasured", command: "" },
  ],
  metrics: ["rate"],
  rounds: 3,
  run: async () => [],
};
