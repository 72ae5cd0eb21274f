import type { Results } from "../results.ts";
import { barsTable } from "./bars.ts";

export const START = "<!-- bars: written by npm run bench -->";
export const END = "<!-- end of bars -->";

/** docs/performance.md with the table of bars as these results have it. Throws where there is no place for it. */
export function withBars(text: string, results: Results): string {
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) throw new Error(`no place for the bars: ${START} … ${END}`);
  return `${text.slice(0, start + START.length)}\n${barsTable(results)}\n${text.slice(end)}`;
}
