import type { Results } from "../results.ts";
import { type MetricName, metrics, seriesOf } from "../sample.ts";
import { ratioOf, spreadOf } from "../statistics.ts";
import { formatNumber, formatTable } from "./format.ts";

/** Something that the data path has to reach. */
export interface Bar {
  readonly what: string;
  readonly suite: string;
  readonly metric: MetricName;
  readonly ours: string;
  /** Undefined: the bar is for the number itself. */
  readonly theirs?: string;
  /** `ours/theirs` where left out. */
  readonly as?: "theirs/ours";
  readonly is: "at least" | "at most";
  readonly bar: number;
  readonly cases: readonly string[];
}

const FARSIDE = "farside";
const SSH = "ssh -L";
const streams = (direction: string, counts: readonly number[]): string[] =>
  counts.map((count) => `${direction}, ${count} ${count === 1 ? "stream" : "streams"}`);
const bothWays = [...streams("download", [1, 4, 16]), ...streams("upload", [1, 4, 16])];
const atLeast = { ours: FARSIDE, is: "at least" } as const;
const atMost = { ours: FARSIDE, is: "at most" } as const;
const bulkSsh = { ...atLeast, suite: "bulk-ssh", metric: "rate" } as const;
const bulkTcp = { ...atLeast, suite: "bulk-tcp", metric: "rate", cases: bothWays } as const;
const MANY = "5,000, 64 at a time";

/** The bars of issue 3. */
export const bars: readonly Bar[] = [
  {
    ...bulkSsh,
    what: "SSH target, download, against ssh's default cipher",
    theirs: SSH,
    bar: 1.5,
    cases: streams("download", [1, 4, 16]),
  },
  {
    ...bulkSsh,
    what: "SSH target, upload, against ssh's default cipher",
    theirs: SSH,
    bar: 1.3,
    cases: streams("upload", [1, 4, 16]),
  },
  {
    ...bulkSsh,
    what: "SSH target, against ssh with aes128-gcm",
    theirs: "ssh -L, aes128-gcm",
    bar: 0.8,
    cases: bothWays,
  },
  { ...bulkTcp, what: "TCP target, against `socat -b 131072`", theirs: "socat -b 131072", bar: 0.95 },
  { ...bulkTcp, what: "TCP target, against `socat`", theirs: "socat", bar: 2.5 },
  { ...bulkTcp, what: "TCP target, against haproxy without splice", theirs: "haproxy", bar: 1.4 },
  { ...bulkTcp, what: "TCP target, against a naive Node pipe", theirs: "Node pipe", bar: 3 },
  {
    ...atLeast,
    what: "download at 100 ms round trip",
    suite: "far",
    metric: "rate",
    theirs: SSH,
    bar: 5,
    cases: ["download, 1 stream", "download, 1 stream, large send buffers"],
  },
  {
    ...atLeast,
    what: "opening 5,000 connections through an SSH target",
    suite: "idle-ssh",
    metric: "openSeconds",
    theirs: SSH,
    as: "theirs/ours",
    bar: 5,
    cases: ["5,000, one at a time", MANY],
  },
  {
    ...atLeast,
    what: "new connections, TCP target, against socat",
    suite: "connections-tcp",
    metric: "perSecond",
    theirs: "socat",
    bar: 1.8,
    cases: ["1 at a time", "32 at a time"],
  },
  {
    ...atLeast,
    what: "new connections, SSH target, 1 in flight",
    suite: "connections-ssh",
    metric: "perSecond",
    theirs: SSH,
    bar: 0.8,
    cases: ["1 at a time"],
  },
  {
    ...atLeast,
    what: "new connections, SSH target, 32 in flight",
    suite: "connections-ssh",
    metric: "perSecond",
    theirs: SSH,
    bar: 1,
    cases: ["32 at a time"],
  },
  {
    ...atMost,
    what: "latency p50, SSH target",
    suite: "latency-ssh",
    metric: "p50",
    theirs: SSH,
    bar: 1,
    cases: ["64 bytes"],
  },
  {
    ...atMost,
    what: "latency p99, SSH target",
    suite: "latency-ssh",
    metric: "p99",
    theirs: SSH,
    bar: 1.5,
    cases: ["64 bytes"],
  },
  {
    ...atMost,
    what: "memory with 5,000 idle connections",
    suite: "idle-ssh",
    metric: "rss",
    theirs: SSH,
    bar: 0.6,
    cases: [MANY],
  },
  {
    ...atMost,
    what: "memory under 16 saturated uploads to a slow reader",
    suite: "slow-reader",
    metric: "peakRss",
    ours: "farside, SSH target",
    bar: 200,
    cases: ["16 uploads"],
  },
  {
    ...bulkSsh,
    what: "SSH target, against AsyncSSH with the same cipher",
    theirs: "AsyncSSH, aes128-gcm",
    bar: 2.5,
    cases: bothWays,
  },
  {
    ...atLeast,
    what: "new connections, SSH target, against AsyncSSH",
    suite: "connections-ssh",
    metric: "perSecond",
    theirs: "AsyncSSH, aes128-gcm",
    bar: 2,
    cases: ["1 at a time", "32 at a time"],
  },
  {
    ...atMost,
    what: "command to open listener, card included, against ssh running `ssh -N -L`",
    suite: "start-up",
    metric: "startMs",
    theirs: "ssh, ssh -N -L",
    bar: 1,
    cases: ["on the same network", "50 ms round trip"],
  },
];

export interface Reached {
  readonly case: string;
  readonly value: number;
  readonly isMet: boolean;
}

/** How far each case of a bar came; cases that were not measured are left out. */
export function reached(bar: Bar, results: Results): Reached[] {
  const samples = results.suites[bar.suite]?.samples ?? [];
  return bar.cases.flatMap((name) => {
    const ours = seriesOf(samples, bar.ours, name, bar.metric);
    const theirs = bar.theirs === undefined ? undefined : seriesOf(samples, bar.theirs, name, bar.metric);
    const value = valueFor(bar, ours, theirs);
    if (Number.isNaN(value)) return [];
    return [{ case: name, value, isMet: bar.is === "at least" ? value >= bar.bar : value <= bar.bar }];
  });
}

function valueFor({ as }: Bar, ours: readonly number[], theirs: readonly number[] | undefined): number {
  if (theirs === undefined) return spreadOf(ours).median;
  return (as === "theirs/ours" ? ratioOf(theirs, ours) : ratioOf(ours, theirs)).median;
}

/** The table of docs/performance.md. */
export function barsTable(results: Results): string {
  const rows = bars.map((bar) => {
    const values = reached(bar, results);
    const format = (value: number): string =>
      bar.theirs === undefined
        ? `${formatNumber(value, 0)} ${metrics[bar.metric].unit}`
        : `${value.toFixed(2)}x`;
    const sign = bar.is === "at least" ? "≥" : "≤";
    const limit = bar.theirs === undefined ? format(bar.bar) : `${bar.bar}x`;
    const cells = values.map(({ case: name, value, isMet }) => {
      const label = bar.cases.length > 1 ? `${name}: ` : "";
      return `${label}${isMet ? format(value) : `**${format(value)}**`}`;
    });
    const missed = values.filter(({ isMet }) => !isMet).length;
    const verdict =
      values.length === 0
        ? "not measured"
        : missed === 0
          ? "yes"
          : missed === values.length
            ? "no"
            : "in part";
    return [bar.what, `${sign} ${limit}`, cells.join("<br>") || "–", verdict];
  });
  return formatTable(["what", "bar", "reached", "met"], rows);
}
