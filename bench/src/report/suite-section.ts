import type { SuiteResult } from "../results.ts";
import { QUIET_SHARE } from "../results.ts";
import { type MetricName, metrics, type Sample, seriesOf } from "../sample.ts";
import { ratioOf, spreadOf } from "../statistics.ts";
import type { Suite } from "../suites/suite.ts";
import { formatRatio, formatSpread, formatTable } from "./format.ts";

/** Where the plot of a suite's metric is, from the report. */
export const plotPath = (suite: Suite, metric: MetricName): string => `plots/${suite.id}-${metric}.svg`;

export const casesOf = (samples: readonly Sample[]): string[] => [...new Set(samples.map((one) => one.case))];

/** One suite of the report: ratios, then values and plots. */
export function suiteSection(suite: Suite, result: SuiteResult, withPlots = true): string {
  const rounds = Math.max(...result.samples.map(({ round }) => round)) + 1;
  const quiet =
    result.busyBefore <= QUIET_SHARE
      ? ""
      : `\n**The machine was not quiet** (others used ${Math.round(result.busyBefore * 100)} % of it right before): hints only.\n`;
  const run = `Commit ${result.commit}, ${result.at.slice(0, 16).replace("T", " ")} UTC, ${rounds} rounds${result.isQuick ? ", quick mode" : ""}.`;
  return [
    `## ${suite.title}`,
    `${suite.about}\n\n${run}\n${quiet}`.trim(),
    ...suite.metrics.map((metric) => ratioTable(suite, result.samples, metric)),
    ...suite.metrics.map((metric) => valueTable(suite, result.samples, metric, withPlots)),
    commands(suite),
  ].join("\n\n");
}

export function ratioTable(suite: Suite, samples: readonly Sample[], metric: MetricName): string {
  const [ours, ...peers] = suite.ways.filter((way) => samples.some((one) => one.forwarder === way.name));
  const cases = casesOf(samples);
  const { name, better } = metrics[metric];
  const rows = peers.map((peer) => [
    `÷ ${peer.name}`,
    ...cases.map((one) =>
      formatRatio(
        ratioOf(seriesOf(samples, ours?.name ?? "", one, metric), seriesOf(samples, peer.name, one, metric)),
      ),
    ),
  ]);
  return `Ratio of ${name}, ${better} is better:\n\n${formatTable([ours?.name ?? "", ...cases], rows)}`;
}

export function valueTable(
  suite: Suite,
  samples: readonly Sample[],
  metric: MetricName,
  withPlots: boolean,
): string {
  const cases = casesOf(samples);
  const { name, unit } = metrics[metric];
  const measured = suite.ways.filter((way) => samples.some((one) => one.forwarder === way.name));
  const rows = measured.map((way) => [
    way.name,
    ...cases.map((one) => formatSpread(spreadOf(seriesOf(samples, way.name, one, metric)), metrics[metric])),
  ]);
  const title = `${name}, ${unit}`;
  const plot = withPlots ? `\n\n![${suite.title}: ${title}](${plotPath(suite, metric)})` : "";
  return `### ${suite.title}: ${title}\n\n${formatTable(["median (least–most)", ...cases], rows)}${plot}`;
}

function commands(suite: Suite): string {
  const lines = suite.ways
    .filter(({ command }) => command !== "")
    .map(({ name, command }) => `- ${name}: \`${command}\``);
  return `Measured were:\n\n${lines.join("\n")}`;
}
