/** `npm run bench`: see docs/performance.md. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkout } from "@farside/test/lab/lab";
import { readCommandLine } from "./command-line.ts";
import { BenchLab } from "./lab/bench-lab.ts";
import { compilePrograms } from "./lab/native.ts";
import { busyShare, describeCommit, describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { withBars } from "./report/performance-doc.ts";
import { plotSuite } from "./report/plot.ts";
import { report } from "./report/report.ts";
import { plotPath, suiteSection } from "./report/suite-section.ts";
import {
  BUDGET_MINUTES,
  mergeResults,
  QUIET_SHARE,
  type Results,
  readResults,
  type SuiteResult,
  writeResults,
} from "./results.ts";
import { suites } from "./suites/index.ts";
import type { Suite } from "./suites/suite.ts";

const USAGE = `npm run bench -- [--quick] [--rounds N] [SUITE…]

Suites: ${suites.map(({ id }) => id).join(", ")}; a first word (bulk) takes all of its kind.
--quick prints small measurements in under ${BUDGET_MINUTES.quick} minutes and writes nothing; a whole run takes less than ${BUDGET_MINUTES.whole} and writes
bench/results.md, bench/results.json, bench/plots/ and the table in docs/performance.md.`;

const options = readOptions();
const chosen = suites.filter(({ id }) => options.suites.length === 0 || options.suites.includes(id));
const progress = new Progress();
const startedAt = new Date().toISOString();
const resultsPath = join(checkout, "bench/results.json");
await compilePrograms();
const commit = await describeCommit();
const results: Record<string, SuiteResult> = {};
const failures: string[] = [];
let bench: BenchLab | undefined;

for (const suite of chosen) {
  try {
    const result = await runSuite(suite);
    results[suite.id] = result;
    // What comes after it may end the whole run.
    if (!options.isQuick) await keepResults({});
    progress.say(`${suite.id}: ${result.seconds} s`);
    console.log(`${suiteSection(suite, result, false)}\n`);
  } catch (error) {
    failures.push(suite.id);
    // Whatever it left is not to be in the next one's way.
    await closeLab();
    progress.say(`${suite.id} failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

await closeLab();
const seconds = Math.round(performance.now() / 1000);
if (!options.isQuick) await writeReport(seconds);
if (failures.length > 0) progress.say(`failed: ${failures.join(", ")}`);
progress.say(`${chosen.length} suites in ${describeTime(seconds)}`);
process.exit(failures.length > 0 ? 1 : 0);

/** With the budget, where the run is one that has one. */
function describeTime(total: number): string {
  const minutes = (total / 60).toFixed(1);
  if (chosen.length < suites.length || options.rounds !== undefined) return `${minutes} minutes`;
  const budget = options.isQuick ? BUDGET_MINUTES.quick : BUDGET_MINUTES.whole;
  return `${minutes} of ${budget} minutes${total > budget * 60 ? ": too long" : ""}`;
}

async function closeLab(): Promise<void> {
  const closing = bench?.close();
  bench = undefined;
  await closing?.catch((error: unknown) => progress.say(`the lab did not close: ${String(error)}`));
}

async function runSuite(suite: Suite): Promise<SuiteResult> {
  const busyBefore = await busyShare();
  if (busyBefore > QUIET_SHARE) progress.say(`others use ${Math.round(busyBefore * 100)} % of this machine`);
  const from = performance.now();
  const at = new Date().toISOString();
  const { isQuick } = options;
  bench ??= await BenchLab.start();
  const rounds = options.rounds ?? (isQuick ? 1 : suite.rounds);
  const show = (text: string): void => progress.show(`${suite.id}: ${text}`);
  const samples = await suite.run({ bench, rounds, isQuick, progress: show });
  const seconds = Math.round((performance.now() - from) / 1000);
  return { at, commit, busyBefore, seconds, isQuick, samples };
}

function readOptions() {
  try {
    const read = readCommandLine(
      process.argv.slice(2),
      suites.map(({ id }) => id),
    );
    if (!read.help) return read;
    console.log(USAGE);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(64);
  }
}

/** Puts what was measured so far into the file. */
async function keepResults(more: Pick<Results, "wholeRun">): Promise<Results> {
  const now = { machine: await describeMachine(), suites: results, ...more };
  const all = mergeResults(await readResults(resultsPath), now);
  await writeResults(resultsPath, all);
  return all;
}

async function writeReport(total: number): Promise<void> {
  const folder = join(checkout, "bench");
  const isWhole = chosen.length === suites.length && options.rounds === undefined;
  const all = await keepResults(
    isWhole ? { wholeRun: { at: startedAt, seconds: total, failed: failures } } : {},
  );
  await rm(join(folder, "plots"), { recursive: true, force: true });
  await mkdir(join(folder, "plots"));
  for (const suite of suites) {
    const result = all.suites[suite.id];
    for (const metric of result === undefined ? [] : suite.metrics) {
      await writeFile(
        join(folder, plotPath(suite, metric)),
        await plotSuite(suite, result?.samples ?? [], metric),
      );
    }
  }
  await writeFile(join(folder, "results.md"), report(suites, all));
  const doc = join(checkout, "docs/performance.md");
  await writeFile(doc, withBars(await readFile(doc, "utf8"), all));
  progress.say("written: bench/results.md, bench/results.json, bench/plots/, docs/performance.md");
}
