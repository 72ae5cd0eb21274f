/** `npm run matrix`: every cell, and the table of them in docs/jump-hosts.md. Arguments choose cells by id or by a word of their names. */

import { cells } from "./cells.ts";
import { MatrixLab } from "./matrix-lab.ts";
import { nameOf, writeTable } from "./report.ts";
import { runAll } from "./run-all.ts";
import type { Outcome } from "./run-cell.ts";
import { runTargets, type TargetOutcome } from "./run-target.ts";
import { type TargetCell, targetCells } from "./target-cells.ts";

async function main(words: readonly string[]): Promise<void> {
  const chosen = cells.filter(
    (cell) => words.length === 0 || words.some((word) => cell.id === word || nameOf(cell).includes(word)),
  );
  const chosenTargets = targetCells.filter(
    (cell) => words.length === 0 || words.some((word) => cell.id === word || targetName(cell).includes(word)),
  );
  if (chosen.length + chosenTargets.length === 0) {
    console.error(
      `no cell has the id, or a word of its name: ${words.join(", ")}; docs/jump-hosts.md lists them`,
    );
    process.exitCode = 64;
    return;
  }
  const startedAt = performance.now();
  const outcomes: Outcome[] = [];
  let bad = 0;
  for (const server of new Set(chosen.map((cell) => cell.server))) {
    const own = chosen.filter((cell) => cell.server === server);
    await using matrix = await MatrixLab.start(own);
    const report = await runAll(matrix, own, { onOutcome: tell });
    for (const problem of report.problems) console.log(`not ok: ${server.name}: ${problem}`);
    outcomes.push(...report.outcomes);
    bad += report.problems.length + report.outcomes.filter(({ problems }) => problems.length > 0).length;
  }
  const targets = await runTargets(chosenTargets, tellTarget);
  bad += targets.filter(({ problems }) => problems.length > 0).length;
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  if (words.length === 0 && bad === 0) await writeTable(outcomes, targets, seconds);
  console.log(`${chosen.length + targets.length} cells in ${seconds} s, ${bad} not as the table says`);
  if (bad > 0) process.exitCode = 1;
}

function tell({ cell, problems, end, ms, transcript }: Outcome): void {
  const isGood = problems.length === 0;
  console.log(`${isGood ? "ok    " : "not ok"} ${cell.id} ${nameOf(cell)}: ${end} (${Math.round(ms)} ms)`);
  if (!isGood) tellProblems({ problems, transcript });
}

const targetName = ({ name }: TargetCell) => `as a hop: ${name}`;

function tellTarget(outcome: TargetOutcome): void {
  const { cell, end, problems } = outcome;
  const isGood = problems.length === 0;
  console.log(`${isGood ? "ok    " : "not ok"} ${cell.id} ${targetName(cell)}: ${end}`);
  if (!isGood) tellProblems(outcome);
}

function tellProblems({ problems, transcript }: Pick<Outcome, "problems" | "transcript">): void {
  for (const problem of problems) console.log(`       ${problem}`);
  console.log(transcript.replace(/^/gm, "       | "));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
