import { writeFile } from "node:fs/promises";
import { release } from "node:os";
import { checkout } from "../lab/lab.ts";
import type { Row } from "./conformance-lab.ts";
import type { End } from "./script.ts";
import type { SeenByWay, Verdict } from "./verdict.ts";

const ends = ["client", "service"] as const;

/** What is better or worse at farside, a line each; the better ones are explained. */
export function verdictLines({ name, verdicts }: Row, is: Verdict["is"]): string[] {
  return verdicts
    .filter((verdict) => verdict.is === is)
    .map(({ way, end, why }) => `${name}: ${way}, ${end}: ${why}`);
}

export interface RunFacts {
  readonly date: string;
  readonly seconds: number;
}

/** docs/relay-conformance.md, whole. */
export function conformancePage(rows: readonly Row[], { date, seconds }: RunFacts): string {
  const count = (is: Verdict["is"]) =>
    rows.flatMap(({ verdicts }) => verdicts).filter((each) => each.is === is).length;
  return `# Relay conformance

The same scripts, played by a client on the jump host and a service on the target, through \`ssh -L\` and through farside: what each end sees.
Written by \`npm run soak -- conformance\`; a sample with 32 MiB and a shorter silence runs in \`./scripts/test\`, and both fail where farside is
worse than \`ssh -L\` in any cell. The scripts: [test/conformance/scripts.ts](../test/conformance/scripts.ts).

Run on ${date} in ${seconds} s, OpenSSH 9.2 (Debian 12), Node.js ${process.versions.node}, Linux ${release()}: ${rows.length} rows, of each two ends and
two ways, ${count("same")} as \`ssh -L\`, ${count("better")} better, ${count("worse")} worse.

- **as \`ssh -L\`**: the end sees exactly the same: the bytes, their place before or after an end, an end or a reset, whether it is held back.
- **better**: it sees what it would see without a forwarder, where \`ssh -L\` shows it something else; or what the note says.
- \`reset\` is an RST (ECONNRESET, EPIPE), \`end\` a FIN; \`not closed\`: one direction is still open when the script is over.

| script | end | \`ssh -L\` shows | farside, TCP target | farside, SSH target |
| --- | --- | --- | --- | --- |
${rows.flatMap(linesOf).join("\n")}

## What is better, and why

${rows.flatMap((row) => verdictLines(row, "better").map((line) => `- ${line}`)).join("\n")}

Over SSH neither \`ssh -L\` nor farside can pass a reset on as one: the protocol of channels (RFC 4254, 5.3) has an end and a close, no reset.
`;
}

export async function writePage(text: string): Promise<void> {
  await writeFile(`${checkout}/docs/relay-conformance.md`, text);
}

function linesOf({ name, seen, verdicts }: Row): string[] {
  return ends
    .filter((end) => sight(seen, "ssh -L", end) !== "")
    .map((end, index) => {
      const own = (["farside, TCP target", "farside, SSH target"] as const).map((way) => {
        const verdict = verdicts.find((each) => each.way === way && each.end === end);
        if (verdict?.is === "same") return "same";
        return `**${verdict?.is}**: ${sight(seen, way, end)}`;
      });
      return `| ${[index === 0 ? name : "", end, sight(seen, "ssh -L", end), ...own].join(" | ")} |`;
    });
}

function sight(seen: SeenByWay, way: keyof SeenByWay, end: End): string {
  return (seen[way]?.[end] ?? "").replaceAll("|", "\\|");
}
