import { startLab } from "../lab/lab.ts";
import {
  type InterruptedTransfer,
  type Interruption,
  interruptedTransfer,
  killLogin,
  linkDownFor,
  resetConnection,
} from "../support/interrupted-transfer.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import type { SoakPart, SoakResult } from "./part.ts";

const SECONDS = 65;
const BYTES_PER_SECOND = 4_000_000;
const LEASE_S = 60;
/** Longer than the heartbeats allow, and well within the lease. */
const DOWN_MS = 25_000;
const BACK_WITHIN_MS = 3_000;

const cases: readonly (readonly [string, Interruption])[] = [
  ["the login's sshd process is killed", killLogin],
  ["the SSH connection is reset", resetConnection],
  [`the interface is down for ${DOWN_MS / 1000} s`, linkDownFor(DOWN_MS)],
];

/** Each way to lose the connection, during a transfer of more than a minute. The seed is not used. */
export const reattachPart: SoakPart = async ({ scale, say }) => {
  await using lab = await startLab();
  const problems: string[] = [];
  const rows: string[] = [];
  for (const [what, interruption] of cases) {
    await lab.jump.mark();
    const seen = await interruptedTransfer({
      ...{ lab, interruptions: [interruption], bytesPerSecond: BYTES_PER_SECOND },
      seconds: Math.max(SECONDS * scale, DOWN_MS / 1000 + 5),
      options: ["--reattach", "--lease", String(LEASE_S)],
    });
    problems.push(...problemsOf(seen).map((problem) => `${what}: ${problem}`));
    const { exit } = await seen.farside.end();
    if (exit.code !== 0) problems.push(`${what}: farside ended with ${exit.code}`);
    await expectNothingLeft(lab.jump).catch((error: Error) => problems.push(`${what}: ${error.message}`));
    const [backMs = 0] = seen.backAfterMs;
    rows.push(
      `| ${what} | ${seen.isWhole ? "all" : "not all"} | ${seen.pinEntries} | ${seen.logins} | ${Math.round(backMs)} ms |`,
    );
    say(`${what}: back after ${Math.round(backMs)} ms`);
  }
  const table = [
    `A transfer of ${SECONDS * scale} s at ${BYTES_PER_SECOND / 1e6} MB/s each way, \`--reattach --lease ${LEASE_S}\`.`,
    "",
    "| connection lost because | bytes | PINs | new logins | back after the link was |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return { problems, table, page: { path: "docs/persistent-agents.md", kind: "place" } } satisfies SoakResult;
};

function problemsOf({ isWhole, pinEntries, logins, backAfterMs }: InterruptedTransfer): string[] {
  return [
    ...(isWhole ? [] : ["bytes were lost"]),
    ...(pinEntries === 0 ? [] : [`${pinEntries} PIN entries`]),
    ...(logins === 1 ? [] : [`${logins} new logins`]),
    ...backAfterMs.filter((ms) => ms > BACK_WITHIN_MS).map((ms) => `back after ${Math.round(ms)} ms`),
  ];
}
