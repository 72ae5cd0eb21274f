/**
 * `npm run soak -- [PART…] [--seed N] [--scale X]`: the long tests, all or those named, one after the other. Each prints its table,
 * and puts it where it belongs in docs/ when it passed at full scale. Exit 1 where one did not pass.
 */
import { cardLagPart } from "./card-lag-part.ts";
import { readCommandLine, type SoakOptions } from "./command-line.ts";
import { conformancePart } from "./conformance-part.ts";
import { faultsPart } from "./faults-part.ts";
import { forgedPart } from "./forged-part.ts";
import { fuzzPart } from "./fuzz-part.ts";
import { hostilePart } from "./hostile-part.ts";
import { jumpHostsPart } from "./jump-hosts-part.ts";
import { killedPart } from "./killed-part.ts";
import { neighboursPart } from "./neighbours-part.ts";
import { openClosePart } from "./open-close-part.ts";
import type { SoakPart } from "./part.ts";
import { penaltiesPart } from "./penalties-part.ts";
import { pinTriesPart } from "./pin-tries-part.ts";
import { putOnPage } from "./put-on-page.ts";
import { reattachPart } from "./reattach-part.ts";
import { relaysPart } from "./relays-part.ts";

const parts: Readonly<Record<string, SoakPart>> = {
  "card-lag": cardLagPart,
  conformance: conformancePart,
  faults: faultsPart,
  forged: forgedPart,
  fuzz: fuzzPart,
  hostile: hostilePart,
  "jump-hosts": jumpHostsPart,
  killed: killedPart,
  neighbours: neighboursPart,
  "open-close": openClosePart,
  penalties: penaltiesPart,
  "pin-tries": pinTriesPart,
  reattach: reattachPart,
  relays: relaysPart,
};

const usage = `npm run soak -- [PART…] [--seed N] [--scale X]
  PART     ${Object.keys(parts).join(", ")}; all where none is named
  --seed   the run that had it is played again
  --scale  how long: 0.1 is a tenth; docs/ is only written from 1`;

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  const { seed, scale } = options;
  for (const name of options.parts) {
    const part = parts[name] as SoakPart;
    const startedAt = performance.now();
    console.log(`${name}: starts, seed ${seed}`);
    const { problems, table, page } = await part({
      seed,
      scale,
      say: (line) => console.error(`${name}: ${line}`),
    });
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const facts = `Run on ${new Date().toISOString().slice(0, 10)} in ${seconds} s by \`npm run soak -- ${name} --seed ${seed}\`.`;
    console.log(`${table}\n\n${facts}`);
    for (const problem of problems) console.log(`not ok: ${name}: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
    else if (page !== undefined && scale >= 1) await putOnPage(name, page, `${facts}\n\n${table}`);
    console.log(
      `${name}: ${problems.length === 0 ? "passed" : `${problems.length} problems`} in ${seconds} s, seed ${seed}`,
    );
  }
}

/** Undefined where nothing is to run: usage was asked for, or the arguments are wrong (64, as the exit code then is). */
function readOptions(): SoakOptions | undefined {
  try {
    const options = readCommandLine(process.argv.slice(2), Object.keys(parts));
    if (options === undefined) console.log(usage);
    return options;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exitCode = 64;
    return undefined;
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
