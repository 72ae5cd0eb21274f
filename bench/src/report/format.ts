import type { Metric } from "../sample.ts";
import type { Spread } from "../statistics.ts";

/** `1,175 (1,100–1,210)`; a dash where nothing was measured. */
export function formatSpread(spread: Spread, { digits }: Pick<Metric, "digits">): string {
  if (spread.count === 0 || Number.isNaN(spread.median)) return "–";
  const one = (number: number): string => formatNumber(number, digits);
  if (spread.count === 1) return one(spread.median);
  return `${one(spread.median)} (${one(spread.least)}–${one(spread.most)})`;
}

/** `1.55x (1.48–1.63)`. */
export function formatRatio(ratio: Spread): string {
  if (Number.isNaN(ratio.median)) return "–";
  const range = ratio.count > 1 ? ` (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})` : "";
  return `**${ratio.median.toFixed(2)}x**${range}`;
}

export const formatNumber = (number: number, digits: number): string =>
  number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A table in Markdown. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
