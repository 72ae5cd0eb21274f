import { startLab } from "../lab/lab.ts";
import { type CrowdReport, holdCrowd } from "../scale/hold-crowd.ts";
import {
  ECHO_PORT,
  MeasuredSession,
  type SessionUsage,
  type TargetKind,
  targetKinds,
} from "../scale/measured-session.ts";
import { startEcho } from "../support/echo-service.ts";
import { megabytes } from "../support/process-usage.ts";
import type { SoakPart } from "./part.ts";

const RELAYS = 2_000;
const HOLD_MS = 600_000;
const WARM_UP_MS = 10_000;
const PERIOD_S = 20;
/** Further connections to the hop close a minute after their last relay. */
const SETTLE = { withinMs: 90_000, restMs: 3_500 };

interface Seen {
  readonly kind: TargetKind;
  readonly fresh: SessionUsage;
  readonly warm: SessionUsage;
  readonly report: CrowdReport;
  readonly problems: readonly string[];
}

/**
 * 2,000 relays for ten minutes to a TCP target and as many to an SSH target, at the same time, each in an agent of its own. The first
 * crowd only warms up; what it leaves behind is what the second is measured by. `scale` shortens the ten minutes.
 */
export const relaysPart: SoakPart = async ({ seed, scale, say }) => {
  await using lab = await startLab();
  await using _echo = await startEcho(lab.target, ECHO_PORT, "0.0.0.0");
  const holdMs = Math.max(HOLD_MS * scale, PERIOD_S * 1_000);
  const one = async (kind: TargetKind): Promise<Seen> => {
    await using session = await MeasuredSession.start(lab, kind);
    const common = { lab, session, seed, count: RELAYS, periodS: PERIOD_S, settle: SETTLE };
    const fresh = await session.usage();
    const warmUp = await holdCrowd({ ...common, holdMs: WARM_UP_MS }, fresh);
    say(`${kind}: warmed up`);
    const report = await holdCrowd({ ...common, holdMs, say }, warmUp.after);
    const problems = [...report.problems, ...(await session.end()).map((problem) => `${kind}: ${problem}`)];
    return { kind, fresh, warm: warmUp.after, report, problems };
  };
  const seen = await Promise.all(targetKinds.map(one));
  const rows = seen.flatMap(({ kind, fresh, warm, report: { held, after } }) =>
    (["agent", "orchestrator"] as const).map((process) => {
      const heldHere = held.map((usage) => usage[process]);
      const cells = [
        `${kind.toUpperCase()} target, ${process}`,
        ...[fresh, warm].map((usage) => cell(usage[process])),
        heldHere.map(({ rss }) => megabytes(rss)).join(", "),
        String(Math.max(...heldHere.map(({ descriptors }) => descriptors))),
        cell(after[process]),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  );
  const messages = seen.reduce((sum, { report }) => sum + report.sight.answered, 0);
  const table = [
    `${RELAYS} relays to each target for ${holdMs / 1000} s, a message over each every ${PERIOD_S} s: ${messages.toLocaleString("en")} came back, none wrong,`,
    `no relay lost. Resident memory, descriptors.`,
    "",
    "| | fresh | after a first crowd | held: begin, middle, end | descriptors held | closed again |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return {
    problems: seen.flatMap(({ problems }) => problems),
    table,
    page: { path: "docs/reliability.md", kind: "place" },
  };
};

const cell = ({ rss, descriptors }: SessionUsage["agent"]): string => `${megabytes(rss)}, ${descriptors}`;
