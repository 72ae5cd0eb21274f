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
--quick prints small measurements in under two minutes and writes nothing; a full run takes some twenty and writes
bench/results.md, bench/results.json, bench/plots/ and the table in docs/performance.md.`;

const options = readOptions();
const chosen = suites.filter(({ id }) => options.suites.length === 0 || options.suites.includes(id));
const progress = new Progress();
await compilePrograms();
const commit = await describeCommit();
const results: Record<string, SuiteResult> = {};
const failures: string[] = [];
let bench: BenchLab | undefined;

for (const suite of chosen) {
  try {
    const result = await runSuite(suite);
    results[suite.id] = result;
    progress.say(`${suite.id}: ${result.seconds} s`);
    console.log(`${suiteSection(suite, result, false)}\n`);
  } catch (error) {
    failures.push(suite.id);
    // Whatever it left is not to be in the next one's way.
    await bench?.close();
    bench = undefined;
    progress.say(`${suite.id} failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

await bench?.close();
if (!options.isQuick) await writeReport({ machine: await describeMachine(), suites: results });
if (failures.length > 0) progress.say(`failed: ${failures.join(", ")}`);
process.exit(failures.length > 0 ? 1 : 0);

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

async function writeReport(now: Results): Promise<void> {
  const folder = join(checkout, "bench");
  const all = mergeResults(await readResults(join(folder, "results.json")), now);
  await writeResults(join(folder, "results.json"), all);
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
