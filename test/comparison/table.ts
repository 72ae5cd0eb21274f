import type { Ending, Measured } from "./measure.ts";
import type { Way } from "./way.ts";

export interface Row {
  readonly way: Way;
  readonly results: Readonly<Record<Ending, Measured>>;
}

const MIB = 1024 * 1024;

/** The README's first table, as Markdown. */
export function tableOf(rows: readonly Row[], date: string): string {
  const line = ({ way, results }: Row): string => {
    const { pinEntries, signatures, linkBytes, payloadBytes } = results["Ctrl-C"];
    const megabytes = linkBytes < MIB / 10 ? "< 0.1" : (linkBytes / MIB).toFixed(1);
    const traffic = `${megabytes} MiB of ${payloadBytes / MIB}`;
    const cells = [way.name, whereOf(way), pinEntries, signatures, traffic];
    const left = (["Ctrl-C", "kill -9", "cut link"] as const).map((ending) => summary(results[ending].left));
    return `| ${[...cells, ...left].join(" | ")} |`;
  };
  return [
    "| | port opens on | PIN entries | signatures | over the workstation's link | left after Ctrl-C | after `kill -9` | after a cut link |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows.map(line),
    "",
    `Measured on ${date} by \`npm run compare\` in the lab (OpenSSH of Debian 12, virtual PIV card behind pcscd and OpenSC); what is`,
    "left is what the jump host itself shows 20 s later: processes, listeners, files.",
  ].join("\n");
}

const whereOf = (way: Way): string => (way.name === "ssh -J" ? "the workstation" : "the jump host");

/** `nothing`, or `1 process, 2 listeners`. */
export function summary(left: readonly string[]): string {
  if (left.length === 0) return "nothing";
  const kinds = { process: "processes", listener: "listeners", file: "files" } as const;
  return Object.entries(kinds)
    .map(([one, many]) => ({ one, many, count: left.filter((line) => line.startsWith(`${one} `)).length }))
    .filter(({ count }) => count > 0)
    .map(({ one, many, count }) => `${count} ${count === 1 ? one : many}`)
    .join(", ");
}
