/** What a metric is counted in, and which way is better. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** Digits behind the point in tables. */
  readonly digits: number;
}

/** Every number that a suite can measure. */
export const metrics = {
  rate: { name: "throughput", unit: "MB/s", better: "higher", digits: 0 },
  cpuPerGB: { name: "CPU time of the forwarder", unit: "s/GB", better: "lower", digits: 2 },
  peakRss: { name: "peak memory of the forwarder", unit: "MB", better: "lower", digits: 0 },
  perSecond: { name: "new connections", unit: "1/s", better: "higher", digits: 0 },
  p50: { name: "round trip, p50", unit: "µs", better: "lower", digits: 1 },
  p99: { name: "round trip, p99", unit: "µs", better: "lower", digits: 1 },
  p999: { name: "round trip, p99.9", unit: "µs", better: "lower", digits: 1 },
  openSeconds: { name: "time to open them", unit: "s", better: "lower", digits: 2 },
  rss: { name: "memory with all of them open", unit: "MB", better: "lower", digits: 0 },
  startMs: { name: "command to open listener", unit: "ms", better: "lower", digits: 0 },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as MetricName[];

/** What one measurement of one forwarder gave. MB are 10^6 bytes, GB 10^9. */
export type Measured = Readonly<Partial<Record<MetricName, number>>>;

/** One measurement with what it was of. */
export interface Sample {
  readonly forwarder: string;
  /** What was done, e.g. `download, 4 streams`. */
  readonly case: string;
  readonly round: number;
  readonly measured: Measured;
}

/** One metric of one forwarder in one case, by round; NaN for rounds without it. */
export function seriesOf(
  samples: readonly Sample[],
  forwarder: string,
  name: string,
  metric: MetricName,
): number[] {
  const series: number[] = [];
  for (const sample of samples) {
    if (sample.forwarder !== forwarder || sample.case !== name) continue;
    series[sample.round] = sample.measured[metric] ?? Number.NaN;
  }
  return Array.from(series, (number) => number ?? Number.NaN);
}
