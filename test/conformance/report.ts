import { release } from "node:os";
import type { Row, Table } from "./conformance-lab.ts";
import type { End } from "./script.ts";
import type { SeenByWay, Verdict } from "./verdict.ts";
import { farsideWayNames, type WayName } from "./way.ts";

const ends = ["client", "service"] as const;

/** What is better or worse at farside, a line each; the better ones are explained. */
export function verdictLines({ name, verdicts }: Row, is: Verdict["is"]): string[] {
  return verdicts
    .filter((verdict) => verdict.is === is)
    .map(({ way, end, why }) => `${name}: ${way}, ${end}: ${why}`);
}

/** The same of whole tables. */
export function tableVerdictLines(tables: readonly Table[], is: Verdict["is"]): string[] {
  return tables.flatMap(({ shape, rows }) =>
    rows.flatMap((row) => verdictLines(row, is).map((line) => `${shape.name}: ${line}`)),
  );
}

export interface RunFacts {
  readonly date: string;
  readonly seconds: number;
  /** Of the random scripts. */
  readonly seed: number;
  /** Of them on each of `ways`. */
  readonly runs: number;
  readonly ways: readonly string[];
}

/** docs/relay-conformance.md, whole. */
export function conformancePage(
  tables: readonly Table[],
  { date, seconds, seed, runs, ways }: RunFacts,
): string {
  const all = tables.flatMap(({ rows }) => rows);
  const count = (is: Verdict["is"]) =>
    all.flatMap(({ verdicts }) => verdicts).filter((each) => each.is === is).length;
  return `# Relay conformance

The same scripts, played by a client on the jump host and a service behind it, through \`ssh -L\` and through farside: what each end sees.
Written by \`npm run soak -- conformance\`; a sample with 32 MiB and a shorter silence runs in \`./scripts/test\`, and both fail where farside is
worse than \`ssh -L\` in any cell. The scripts: [test/conformance/scripts.ts](../test/conformance/scripts.ts).

Run on ${date} in ${seconds} s, OpenSSH 9.2 (Debian 12), Node.js ${process.versions.node}, Linux ${release()}: ${tables.length} tables with ${all.length} rows, of each two ends and
four ways, ${count("same")} as \`ssh -L\`, ${count("better")} better, ${count("worse")} worse.

- **same**: the end sees exactly what \`ssh -L\` shows it: the bytes, their place before or after an end, an end or a reset, whether it is held back.
- **better**: it sees what it would see without a forwarder, where \`ssh -L\` shows it something else; or what the note says.
- \`reset\` is an RST (ECONNRESET, EPIPE; of a socket: its other end is gone), \`end\` a FIN; \`not closed\`: one direction is still open when the script is over.

The ways of farside:

- **no hop**: the agent dials the target itself, by TCP, or a socket of the jump host.
- **a hop**: \`--via\`; relays go through farside's own data path over SSH.
- **a hop, slow way**: the same through ssh2's channels, as where ssh2 turned out to be another one than the data path knows.
- **engine openssh**: \`--engine openssh\`; the jump host's own ssh forwards.

${tables.map(section).join("\n")}
## What is better, and why

${betterLines(tables).join("\n")}

## Random scripts

Besides the tables: ${runs.toLocaleString("en")} runs on each of ${ways.map((way) => `*${way}*`).join(", ")} (seed ${seed}), each of one to four relays at a time whose ends write, pause, wait for each other, end, close, reset,
or are cut by a stop, at random ([packages/agent/src/testing/relay-scripts](../packages/agent/src/testing/relay-scripts/relay-script.ts)). What each end gets is what the other sent, from its beginning; it is all of that
where the sender left in order; nothing that was reset or cut looks whole where the way can tell (by TCP always); nothing hangs, and no buffer or channel stays. A short sample runs in \`./scripts/test\`.

## What can't be passed on

A socket knows no reset: a client that goes away is one whose direction ends, or, where it has not read everything, one that is gone.

Over SSH neither \`ssh -L\` nor farside can pass a reset on as one: the protocol of channels (RFC 4254, 5.3) has an end and a close, no reset.
`;
}

function section({ shape, rows }: Table): string {
  return `## \`${shape.name}\`

| script | end | \`ssh -L\` shows | ${farsideWayNames.join(" | ")} |
| --- | --- | --- | ${farsideWayNames.map(() => "---").join(" | ")} |
${rows.flatMap(linesOf).join("\n")}
`;
}

function linesOf({ name, seen, verdicts }: Row): string[] {
  return ends
    .filter((end) => sight(seen, "ssh -L", end) !== "")
    .map((end, index) => {
      const own = farsideWayNames.map((way) => {
        const verdict = verdicts.find((each) => each.way === way && each.end === end);
        if (verdict?.is === "same") return "same";
        return `**${verdict?.is}**: ${sight(seen, way, end)}`;
      });
      return `| ${[index === 0 ? name : "", end, sight(seen, "ssh -L", end), ...own].join(" | ")} |`;
    });
}

/** One line for the same of several ways, ends and tables. */
function betterLines(tables: readonly Table[]): string[] {
  const placesOf = new Map<string, Set<string>>();
  for (const { shape, rows } of tables) {
    for (const { name, verdicts } of rows) {
      for (const { is, end, why, way } of verdicts) {
        if (is !== "better") continue;
        const key = `${name}: what the ${end} sees is better: ${why}`;
        const places = placesOf.get(key) ?? new Set();
        placesOf.set(key, places.add(`${way.replace("farside, ", "")} (\`${shape.name}\`)`));
      }
    }
  }
  return [...placesOf].map(([key, places]) => `- ${key}. Seen with: ${[...places].join("; ")}.`);
}

function sight(seen: SeenByWay, way: WayName, end: End): string {
  return (seen[way]?.[end] ?? "").replaceAll("|", "\\|");
}
