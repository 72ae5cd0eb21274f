import { type Lab, startLab } from "../lab/lab.ts";
import {
  ECHO_PORT,
  MeasuredSession,
  type SessionUsage,
  type TargetKind,
  targetKinds,
} from "../scale/measured-session.ts";
import { startEcho } from "../support/echo-service.ts";
import { megabytes } from "../support/process-usage.ts";

export interface MeasureOptions {
  readonly lab: Lab;
  readonly session: MeasuredSession;
  /** What the session has before anything was done with it. */
  readonly fresh: SessionUsage;
}

/** What a part has seen of one session. */
export interface TargetReport {
  /** What was not as it should be; each names the kind of target. */
  readonly problems: readonly string[];
}

/** Resident, of an agent that has had no relay yet. */
const IDLE_BYTES = 60e6;

export type Measured<Report> = Report & { readonly kind: TargetKind; readonly fresh: SessionUsage };

/** Both processes of a session, each a row of a table. */
export type MeasuredProcess = keyof SessionUsage;

/**
 * Runs `measure` with a session to a TCP target and with one to an SSH target, at the same time, each with an agent of its own, in a new
 * lab with an echo service on the target. How each session ends is among its problems.
 */
export async function measureTargets<Report extends TargetReport>(
  measure: (options: MeasureOptions) => Promise<Report>,
  prepare: (lab: Lab) => Promise<void> = async () => {},
): Promise<Measured<Report>[]> {
  await using lab = await startLab();
  await using _echo = await startEcho(lab.target, ECHO_PORT, "0.0.0.0");
  await prepare(lab);
  const one = async (kind: TargetKind): Promise<Measured<Report>> => {
    await using session = await MeasuredSession.start(lab, kind);
    const fresh = await session.usage();
    const report = await measure({ lab, session, fresh });
    const atEnd = (await session.end()).map((problem) => `${kind}: ${problem}`);
    const { rss } = fresh.agent;
    const idle = rss < IDLE_BYTES ? [] : [`${kind}: an idle agent has ${megabytes(rss)}`];
    return { ...report, kind, fresh, problems: [...idle, ...report.problems, ...atEnd] };
  };
  return await Promise.all(targetKinds.map(one));
}

/** A table with a row for each process of each session; `cells` are what stands under `columns`. */
export function processTable<Report>(
  columns: readonly string[],
  measured: readonly Measured<Report>[],
  cells: (of: Measured<Report>, process: MeasuredProcess) => readonly string[],
): string[] {
  const row = (cellsOfRow: readonly string[]): string => `| ${cellsOfRow.join(" | ")} |`;
  return [
    `| | ${columns.join(" | ")} |`,
    row(["---", ...columns.map(() => "---")]),
    ...measured.flatMap((of) =>
      (["agent", "orchestrator"] as const).map((process) =>
        row([`${of.kind.toUpperCase()} target, ${process}`, ...cells(of, process)]),
      ),
    ),
  ];
}
