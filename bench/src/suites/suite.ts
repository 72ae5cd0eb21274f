import type { BenchLab } from "../lab/bench-lab.ts";
import type { MetricName, Sample } from "../sample.ts";

/** One row of a suite's tables. */
export interface Way {
  readonly name: string;
  /** The command line, for readers; empty for none. */
  readonly command: string;
}

export interface SuiteContext {
  readonly bench: BenchLab;
  readonly rounds: number;
  /** Shorter measurements and fewer cases: shows that everything works, proves nothing. */
  readonly isQuick: boolean;
  /** Tells people how far it is. */
  readonly progress: (text: string) => void;
}

/** One subject, measured for farside and its peers in one run. */
export interface Suite {
  readonly id: string;
  readonly title: string;
  /** What is done and counted, for readers. */
  readonly about: string;
  /** The first one is farside; the others are compared with it. */
  readonly ways: readonly Way[];
  /** The first one is compared as a ratio first. */
  readonly metrics: readonly MetricName[];
  /** In a full run. */
  readonly rounds: number;
  run(context: SuiteContext): Promise<Sample[]>;
}
