/** `npm run matrix`: every cell, and the table of them in docs/jump-hosts.md. Arguments choose cells by id or by a word of their names. */

import { cells } from "./cells.ts";
import { MatrixLab } from "./matrix-lab.ts";
import { nameOf, writeTable } from "./report.ts";
import { runAll } from "./run-all.ts";
import type { Outcome } from "./run-cell.ts";

async function main(words: readonly string[]): Promise<void> {
  const chosen = cells.filter(
    (cell) => words.length === 0 || words.some((word) => cell.id === word || nameOf(cell).includes(word)),
  );
  const startedAt = performance.now();
  await using matrix = await MatrixLab.start(chosen);
  const report = await runAll(matrix, chosen, { onOutcome: tell });
  for (const problem of report.problems) console.log(`not ok: ${problem}`);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const bad = report.outcomes.filter(({ problems }) => problems.length > 0).length + report.problems.length;
  if (words.length === 0 && bad === 0) await writeTable(report.outcomes, seconds);
  console.log(`${chosen.length} cells in ${seconds} s, ${bad} not as the table says`);
  if (bad > 0) process.exitCode = 1;
}

function tell({ cell, problems, end, ms, transcript }: Outcome): void {
  const isGood = problems.length === 0;
  console.log(`${isGood ? "ok    " : "not ok"} ${cell.id} ${nameOf(cell)}: ${end} (${Math.round(ms)} ms)`);
  if (isGood) return;
  for (const problem of problems) console.log(`       ${problem}`);
  console.log(transcript.replace(/^/gm, "       | "));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
