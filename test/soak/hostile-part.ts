import { type Flood, type FloodReport, flood, floods } from "../hostile/hostile-agent.ts";
import { startLab } from "../lab/lab.ts";
import type { SoakPart } from "./part.ts";

const FLOOD_MS = 30_000;
const MIB = 1024 * 1024;
/** Mostly garbage that V8 leaves lying while it is flooded; it does not grow with the flood's length. */
const MOST_MORE = 200 * MIB;

/** Half a minute of each flood that a hostile agent can make, and the orchestrator's memory meanwhile. The seed is not used. */
export const hostilePart: SoakPart = async ({ scale, say }) => {
  await using lab = await startLab();
  const reports: (FloodReport & { readonly mode: Flood })[] = [];
  for (const mode of floods) {
    reports.push({ mode, ...(await flood(lab, mode, FLOOD_MS * scale)) });
    say(`${mode} is over`);
  }
  const problems = reports.flatMap(({ mode, before, peak, exitCode }) => [
    ...(peak - before > MOST_MORE ? [`${mode}: ${mib(peak - before)} MiB more`] : []),
    ...(exitCode === 0 || exitCode === 75 ? [] : [`${mode}: exit ${exitCode}`]),
  ]);
  const { signs } = await lab.card.counters();
  const made = Object.values(signs).reduce((sum, count) => sum + count, 0);
  if (made !== floods.length) problems.push(`the card made ${made} signatures for ${floods.length} logins`);
  const rows = reports.map(
    ({ mode, before, peak, events }) => `| ${mode} | ${mib(before)} MiB | ${mib(peak)} MiB | ${events} |`,
  );
  const table = [
    `${(FLOOD_MS * scale) / 1000} s of each; the card made ${made} signatures, one for each login of farside's own.`,
    "",
    "| flood | orchestrator's memory before | at most | events told |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return { problems, table, page: { path: "docs/security.md", kind: "place" } };
};

const mib = (bytes: number): number => Math.round(bytes / MIB);
