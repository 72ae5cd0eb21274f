import { readFile, writeFile } from "node:fs/promises";
import { checkout } from "../lab/lab.ts";
import { type Cell, fails } from "./cell.ts";
import { nodeMajors, nodeVersion } from "./node-builds.ts";
import type { Outcome } from "./run-cell.ts";
import type { TargetOutcome } from "./run-target.ts";

const BEGIN = "<!-- matrix: written by npm run matrix -->";
const END = "<!-- end of matrix -->";
/** Left out of the table: it would hide what is not so. */
const USUAL: readonly string[] = [
  "none",
  "writable",
  "Debian's own",
  "node in PATH",
  "OpenSSH 9.2 (Debian 12)",
];
const page = `${checkout}/docs/jump-hosts.md`;

/** What is unusual about a cell, in one line. */
export function nameOf(cell: Cell): string {
  const { shell, noise, home, policy, runtime, server } = cell;
  const unusual = [noise, home, policy, runtime, server]
    .map(({ name }) => name)
    .filter((name) => !USUAL.includes(name));
  return [shell.name, ...unusual].join(" · ");
}

/** Puts the table of `outcomes`, with today's date, between the markers of docs/jump-hosts.md. */
export async function writeTable(
  outcomes: readonly Outcome[],
  targets: readonly TargetOutcome[],
  seconds: number,
): Promise<void> {
  const text = await readFile(page, "utf8");
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${page} has no place for the table`);
  await writeFile(
    page,
    `${text.slice(0, before + BEGIN.length)}\n\n${table(outcomes, seconds)}\n\n${targetTable(targets)}\n\n${text.slice(after)}`,
  );
}

function table(outcomes: readonly Outcome[], seconds: number): string {
  const worked = outcomes.filter(({ cell }) => !fails(cell.expect)).length;
  const versions = nodeMajors.map(nodeVersion).join(", ");
  return [
    `Run on ${new Date().toISOString().slice(0, 10)} in ${seconds} s: ${outcomes.length} cells, ${worked} work, ${outcomes.length - worked} end with the error that they should.`,
    `Where nothing else is said: Debian 12, OpenSSH 9.2, Node.js ${process.versions.node} in PATH; other versions of Node.js: ${versions}.`,
    "",
    "| # | shell | rc files and environment | home | sshd's settings | Node.js | server | result | after |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ...outcomes.map(({ cell: { id, shell, noise, home, policy, runtime, server }, end, ms }) => {
      const names = [shell, noise, home, policy, runtime, server].map(({ name }) => cellText(name));
      const result = end === "works" ? "works" : `\`${end}\``;
      return `| ${Number(id.slice(1))} | ${names.join(" | ")} | ${result} | ${(ms / 1000).toFixed(1)} s |`;
    }),
  ].join("\n");
}

function targetTable(outcomes: readonly TargetOutcome[]): string {
  return [
    "As a hop of `--via`, behind a jump host with Debian 12:",
    "",
    "| server | options | result |",
    "| --- | --- | --- |",
    ...outcomes.map(({ cell: { name, args = [] }, end }) => {
      const options = args.length === 0 ? "" : `\`${args.join(" ")}\``;
      return `| ${name} | ${options} | ${end === "works" ? "works" : `\`${end}\``} |`;
    }),
  ].join("\n");
}

function cellText(name: string): string {
  return USUAL.includes(name) ? "" : name.replaceAll("|", "\\|");
}
