/**
 * `npm run soak -- [PART…] [--seed N] [--scale X]`: the long tests, all or those named, one after the other. Each prints its table,
 * and puts it where it belongs in docs/ when it passed at full scale. Exit 1 where one did not pass.
 */
import { parseArgs } from "node:util";
import { cardLagPart } from "./card-lag-part.ts";
import { conformancePart } from "./conformance-part.ts";
import { faultsPart } from "./faults-part.ts";
import { forgedPart } from "./forged-part.ts";
import { fuzzPart } from "./fuzz-part.ts";
import { hostilePart } from "./hostile-part.ts";
import { jumpHostsPart } from "./jump-hosts-part.ts";
import { killedPart } from "./killed-part.ts";
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
  "open-close": openClosePart,
  penalties: penaltiesPart,
  "pin-tries": pinTriesPart,
  reattach: reattachPart,
  relays: relaysPart,
};

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: "string" }, scale: { type: "string", default: "1" } },
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(parts, name));
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  const chosen = positionals.length > 0 ? positionals : Object.keys(parts);
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  const scale = Number(values.scale);
  if (!Number.isSafeInteger(seed) || !(scale > 0))
    throw new Error("--seed is a whole number, --scale a positive one");
  for (const name of chosen) {
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

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
