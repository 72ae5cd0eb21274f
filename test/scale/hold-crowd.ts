import type { Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { installProgram } from "../lab/program.ts";
import { waitFor } from "../support/wait-for.ts";
import type { MeasuredSession, SessionUsage, SettleOptions } from "./measured-session.ts";
import { whatStays } from "./what-stays.ts";

/** What the clients of a crowd saw; see test/lab/programs/relay-crowd.ts. */
export interface CrowdSight {
  readonly open: number;
  readonly refused: number;
  readonly sent: number;
  readonly answered: number;
  readonly wrong: number;
  readonly late: number;
  readonly lost: number;
}

export interface CrowdOptions {
  readonly lab: Lab;
  readonly session: MeasuredSession;
  readonly count: number;
  readonly holdMs: number;
  /** Each connection says something so often. */
  readonly periodS: number;
  readonly seed: number;
  /** What the session gets to be as before, once they are closed. */
  readonly settle: SettleOptions;
  readonly say?: (line: string) => void;
}

export interface CrowdReport {
  readonly sight: CrowdSight;
  /** While all were open: at the beginning, in the middle, at the end. */
  readonly held: readonly SessionUsage[];
  readonly after: SessionUsage;
  readonly problems: readonly string[];
}

const OPEN_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 30_000;
const SAMPLES = 3;

/** Keeps `count` relays open for `holdMs`, with a few bytes over each now and then, and closes them. `before`: what is to be had again. */
export async function holdCrowd(options: CrowdOptions, before: SessionUsage): Promise<CrowdReport> {
  const { lab, session, count, holdMs, periodS, seed, settle, say = () => {} } = options;
  const program = await installProgram(lab.jump, "relay-crowd");
  const argv = [...program, ...[session.port, count, periodS, seed].map(String)];
  await using crowd = lab.jump.spawn(argv, { user: lab.jump.user });
  await nthLine(crowd, 1, OPEN_TIMEOUT_MS);
  const held: SessionUsage[] = [await session.usage()];
  for (let sample = 1; sample < SAMPLES; sample += 1) {
    // Here time itself is what is tested.
    await new Promise((resolve) => setTimeout(resolve, holdMs / (SAMPLES - 1)));
    held.push(await session.usage());
    say(
      `${session.kind}: ${count} relays held for ${Math.round((holdMs / 1000) * (sample / (SAMPLES - 1)))} s`,
    );
  }
  crowd.stdin.write("\n");
  const open = await nthLine(crowd, 2, CLOSE_TIMEOUT_MS);
  crowd.stdin.end();
  const sight = await nthLine(crowd, 3, CLOSE_TIMEOUT_MS);
  await crowd.exit;
  const after = await session.settled(before, settle);
  const problems = [
    ...(open.open === count ? [] : [`${open.open} of ${count} relays were open at the end`]),
    // Each may have an answer on its way as they are closed.
    ...(sight.sent - sight.answered <= count
      ? []
      : [`${sight.answered} of ${sight.sent} messages came back`]),
    ...(sight.wrong === 0 ? [] : [`${sight.wrong} answers were wrong`]),
    ...(sight.late === 0 ? [] : [`${sight.late} answers came later than ${periodS} s`]),
    ...(sight.refused + sight.lost === 0 ? [] : [`${sight.refused} refused, ${sight.lost} lost`]),
    ...whatStays(before, after),
  ];
  return { sight, held, after, problems: problems.map((problem) => `${session.kind}: ${problem}`) };
}

async function nthLine(crowd: LabProcess, count: number, withinMs: number): Promise<CrowdSight> {
  const line = await waitFor(() => crowd.stdout.split("\n").slice(0, -1)[count - 1], {
    what: `word ${count} of the crowd`,
    withinMs,
    everyMs: 50,
    detail: () => crowd.stderr,
  });
  return JSON.parse(line) as CrowdSight;
}
