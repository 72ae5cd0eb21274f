import { cardWorks, MAX_LATE_MS, measureCardLag } from "../card/card-lag.ts";
import { FaultLab } from "../faults/fault-lab.ts";
import type { Lag } from "../support/event-loop-lag.ts";
import type { SoakPart } from "./part.ts";

const SESSIONS = 10;

/** How late the orchestrator's event loop is while the card works, hangs, comes and goes. The seed is not used. */
export const cardLagPart: SoakPart = async ({ scale, say }) => {
  await using faultLab = await FaultLab.start();
  const seen = new Map<string, Lag[]>(cardWorks.map(({ name }) => [name, []]));
  const sessions = Math.ceil(SESSIONS * scale);
  for (let session = 1; session <= sessions; session += 1) {
    for (const [name, lag] of await measureCardLag(faultLab)) seen.get(name)?.push(lag);
    say(`session ${session} of ${sessions}`);
  }
  const rows = [...seen].map(([name, lags]) => {
    const sorted = lags.map(({ max }) => max).sort((left, right) => left - right);
    return { name, median: sorted[Math.floor(sorted.length / 2)] ?? 0, most: sorted.at(-1) ?? 0 };
  });
  const problems = rows
    .filter(({ median }) => median > MAX_LATE_MS)
    .map(({ name, median }) => `${name}: the event loop was ${median.toFixed(1)} ms late`);
  const table = [
    `${sessions} sessions; the latest that the event loop was in each, in ms.`,
    "",
    "| what the card does meanwhile | median of the sessions | worst |",
    "| --- | --- | --- |",
    ...rows.map(({ name, median, most }) => `| ${name} | ${median.toFixed(1)} | ${most.toFixed(1)} |`),
  ].join("\n");
  return { problems, table, page: { path: "docs/reliability.md", kind: "place" } };
};
