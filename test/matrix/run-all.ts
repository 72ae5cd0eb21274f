import { waitFor } from "../support/wait-for.ts";
import { type Cell, traitsOf } from "./cell.ts";
import type { MatrixLab } from "./matrix-lab.ts";
import { LEFT_MS, type Outcome, runCell } from "./run-cell.ts";

/** Mostly they wait: for a login, for an rc file that sleeps, for the agent's end. */
const AT_A_TIME = 3;

export interface MatrixReport {
  readonly outcomes: readonly Outcome[];
  /** What is wrong with the host as a whole once all is over. */
  readonly problems: readonly string[];
}

/** Runs every cell: several at a time, then one by one those that change the host itself. */
export async function runAll(
  matrix: MatrixLab,
  cells: readonly Cell[],
  { onOutcome }: { readonly onOutcome?: (outcome: Outcome) => void } = {},
): Promise<MatrixReport> {
  const isAlone = (cell: Cell) => traitsOf(cell).some(({ host }) => host !== undefined);
  const outcomes = new Map<string, Outcome>();
  const run = async (cell: Cell) => {
    const outcome = await runCell(matrix, cell);
    outcomes.set(cell.id, outcome);
    onOutcome?.(outcome);
  };
  const waiting = cells.filter((cell) => !isAlone(cell));
  const worker = async () => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) await run(cell);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  for (const cell of cells.filter(isAlone)) await run(cell);
  return {
    outcomes: cells.flatMap(({ id }) => outcomes.get(id) ?? []),
    problems: await checkHost(matrix, cells),
  };
}

/** One connection a cell, and a host as it was. */
export async function checkHost(matrix: MatrixLab, cells: readonly Cell[]): Promise<string[]> {
  const { connections } = await matrix.counts();
  const own = cells.flatMap(traitsOf).flatMap(({ leaves }) => leaves ?? []);
  let left: string[] = [];
  const isNothing = async () => {
    const { processes, listeners, files } = await matrix.lab.jump.residue();
    left = [...processes, ...listeners, ...files].filter(
      (line) => !own.some((pattern) => pattern.test(line)),
    );
    return left.length === 0;
  };
  await waitFor(isNothing, { what: "nothing left", withinMs: LEFT_MS, everyMs: 100 }).catch(() => {});
  return [
    ...(connections === cells.length ? [] : [`${connections} SSH connections for ${cells.length} cells`]),
    ...left.map((line) => `left on the host: ${line}`),
  ];
}
