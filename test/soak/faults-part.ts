import type { CycleReport } from "../faults/cycle.ts";
import { faults } from "../faults/faults.ts";
import { phases } from "../faults/phases.ts";
import { allCycles, type Cycle, playCycles } from "../faults/play.ts";
import { seededRandom } from "../support/seeded-random.ts";
import type { SoakPart } from "./part.ts";

const CYCLES = 1_000;
/** A cycle mostly waits. */
const LABS = 3;

/** Cycles of start, fault and end: every fault at every boundary of a session's phases, in an order that the seed decides. */
export const faultsPart: SoakPart = async ({ seed, scale, say }) => {
  const total = Math.ceil(CYCLES * scale);
  let done = 0;
  const reports = await playCycles(chosen(total, seed), {
    labs: LABS,
    onReport: ({ phase, fault, outcome, problems }) => {
      done += 1;
      for (const problem of problems) say(`${phase}, ${fault}: ${problem}`);
      if (problems.length > 0 || done % 20 === 0) say(`${done} of ${total}: ${phase}, ${fault}: ${outcome}`);
    },
  });
  const problems = reports.flatMap(({ phase, fault, problems: found }) =>
    found.map((problem) => `${phase}, ${fault}: ${problem.split("\n")[0]}`),
  );
  return { problems, table: tableOf(reports), page: { path: "docs/reliability.md", kind: "place" } };
};

/** All of them in turn, each round shuffled anew. */
function chosen(total: number, seed: number): Cycle[] {
  const random = seededRandom(seed);
  const cycles: Cycle[] = [];
  while (cycles.length < total) {
    const round = allCycles.map((cycle) => ({ cycle, rank: random() }));
    cycles.push(...round.sort((left, right) => left.rank - right.rank).map(({ cycle }) => cycle));
  }
  return cycles.slice(0, total);
}

function tableOf(reports: readonly CycleReport[]): string {
  const bad = reports.filter(({ problems }) => problems.length > 0).length;
  const cell = (fault: string, phase: string): string => {
    const here = reports.filter((report) => report.fault === fault && report.phase === phase);
    if (here.length === 0) return "";
    const counts = new Map<string, number>();
    for (const { outcome, problems } of here) {
      const text = problems.length > 0 ? "**wrong**" : outcome;
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return [...counts]
      .sort(([, left], [, right]) => right - left)
      .map(([text, count]) => `${count}× ${text}`)
      .join("<br>");
  };
  return [
    `${reports.length} cycles, ${bad} with anything left, hanging, or said wrongly.`,
    "",
    `| fault | ${phases.join(" | ")} |`,
    `| --- | ${phases.map(() => "---").join(" | ")} |`,
    ...faults.map(({ name }) => `| ${name} | ${phases.map((phase) => cell(name, phase)).join(" | ")} |`),
  ].join("\n");
}
