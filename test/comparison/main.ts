/** `npm run compare`: measures farside beside the ways it replaces and writes README's first table. Two minutes. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../lab/lab.ts";
import { type Ending, endings, type Measured, measure } from "./measure.ts";
import { type Row, tableOf } from "./table.ts";
import { ways } from "./way.ts";

const START = "<!-- comparison: written by npm run compare -->";
const END = "<!-- end of comparison -->";

const rows: Row[] = [];
for (const way of ways) {
  const results = {} as Record<Ending, Measured>;
  // One lab an ending, side by side: most of the time is the 20 s wait.
  await Promise.all(
    endings.map(async (ending) => {
      results[ending] = await measure(way, ending);
      const { left } = results[ending];
      process.stderr.write(
        `${way.name}, ${ending}: ${left.length === 0 ? "nothing left" : left.join("; ")}\n`,
      );
    }),
  );
  rows.push({ way, results });
}
const table = tableOf(rows, new Date().toISOString().slice(0, 10));
process.stdout.write(`${table}\n`);

const path = join(checkout, "README.md");
const readme = readFileSync(path, "utf8");
const [head, rest] = readme.split(START);
const tail = rest?.split(END)[1];
if (head === undefined || tail === undefined) throw new Error("README.md has no place for the comparison");
writeFileSync(path, `${head}${START}\n${table}\n${END}${tail}`);
