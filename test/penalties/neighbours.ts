import { setTimeout as wait } from "node:timers/promises";
import { SeededRandom } from "@farside/protocol/testing";
import { type FarsideRun, mainJob, runFarside } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import { PenaltyLab } from "./penalty-lab.ts";
import type { SshdPenalties } from "./sshd-penalties.ts";

export interface NeighboursOptions {
  /** Processes of `farside forward`, which know nothing of each other. */
  readonly count: number;
  /** No round begins later than that, in ms. */
  readonly durationMs: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface NeighboursReport {
  readonly rounds: number;
  readonly jump: SshdPenalties;
  readonly target: SshdPenalties;
  /** What was not as it must be, a line each. */
  readonly problems: readonly string[];
}

const FIRST_PORT = 5000;
const BACK_MS = 120_000;

/**
 * Many processes of one workstation with a session each on the same jump host, to the same target: to each sshd they are one address, and no two of
 * them share a budget. All lose the same logins at the same moment, again and again: those to the target with its sshd down for some
 * seconds, or those to the jump host.
 */
export async function watchNeighbours(options: NeighboursOptions): Promise<NeighboursReport> {
  const { count, durationMs, seed, say = () => {} } = options;
  await using lab = await PenaltyLab.start();
  const random = new SeededRandom(seed);
  const problems: string[] = [];
  const runs: FarsideRun[] = [];
  for (let index = 0; index < count; index += 1) {
    const run = runFarside(lab.lab, [...mainJob(FIRST_PORT + index), "--reattach", "--lease", "5m"]);
    runs.push(run);
    await run.ready();
  }
  const loginsAt = async (host: "jump" | "target"): Promise<number> => (await lab.penalties())[host].logins;
  const startedAt = performance.now();
  let rounds = 0;
  while (performance.now() - startedAt < durationMs && problems.length === 0) {
    rounds += 1;
    const host = rounds % 2 === 1 ? "target" : "jump";
    const before = await loginsAt(host);
    const { sshd } = lab.lab[host];
    if (host === "target") await sshd.stop();
    await lab.killLogins(lab.lab[host]);
    if (host === "target") {
      await wait(1_000 + random.below(8_000));
      await lab.startSshd(lab.lab.target);
    }
    const areBack = async () => (await loginsAt(host)) - before >= count;
    await waitFor(areBack, {
      ...{ what: `${count} logins at the ${host}`, withinMs: BACK_MS, everyMs: 250 },
      detail: () => runs.map(({ transcript }) => transcript.slice(-400)).join("\n"),
    }).catch((error: Error) => problems.push(`round ${rounds}: ${error.message}`));
    say(`round ${rounds}: all are back at the ${host}`);
  }
  const { jump, target } = await lab.penalties();
  problems.push(...[...jump.penalties, ...target.penalties].map((line) => `an sshd: ${line}`));
  for (const run of runs) await run.process.kill();
  await lab.misbehave();
  const isSeen = async (): Promise<boolean> => {
    const now = await lab.penalties();
    return now.jump.penalties.length > jump.penalties.length;
  };
  await waitFor(isSeen, { what: "the penalty of a client that misbehaves" }).catch((error: Error) =>
    problems.push(error.message),
  );
  return { rounds, jump, target, problems };
}
