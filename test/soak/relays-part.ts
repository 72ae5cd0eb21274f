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
import { describeUsage, megabytes } from "../support/process-usage.ts";
import type { SoakPart } from "./part.ts";

const RELAYS = 2_000;
const HOLD_MS = 600_000;
const WARM_UPS = 3;
const WARM_UP_MS = 30_000;
const PERIOD_S = 20;
/** Further connections to the hop close a minute after their last relay. */
const SETTLE = { withinMs: 90_000, restMs: 31_500 };

interface Seen {
  readonly kind: TargetKind;
  readonly fresh: SessionUsage;
  readonly warm: SessionUsage;
  readonly report: CrowdReport;
  readonly problems: readonly string[];
}

/**
 * 2,000 relays for ten minutes to a TCP target and as many to an SSH target, at the same time, each in an agent of its own. The first
 * crowds only warm up; what they leave behind is what the last is measured by. `scale` shortens the ten minutes.
 */
export const relaysPart: SoakPart = async ({ seed, scale, say }) => {
  await using lab = await startLab();
  await using _echo = await startEcho(lab.target, ECHO_PORT, "0.0.0.0");
  const holdMs = Math.max(HOLD_MS * scale, PERIOD_S * 1_000);
  const one = async (kind: TargetKind): Promise<Seen> => {
    await using session = await MeasuredSession.start(lab, kind);
    const common = { lab, session, seed, count: RELAYS, periodS: PERIOD_S, settle: SETTLE };
    const fresh = await session.usage();
    let warm = fresh;
    for (let round = 1; round <= WARM_UPS; round += 1) {
      // Only after the last one are further connections waited for that nobody needs any more.
      const settle = round < WARM_UPS ? { ...SETTLE, withinMs: 0 } : SETTLE;
      const holdMs = Math.max(WARM_UP_MS * scale, 1_000);
      warm = (await holdCrowd({ ...common, holdMs, settle, seed: seed + round }, fresh)).after;
      say(`${kind}: ${round} of ${WARM_UPS} crowds to warm up`);
    }
    const report = await holdCrowd({ ...common, holdMs, say }, warm);
    const problems = [...report.problems, ...(await session.end()).map((problem) => `${kind}: ${problem}`)];
    return { kind, fresh, warm, report, problems };
  };
  const seen = await Promise.all(targetKinds.map(one));
  const rows = seen.flatMap(({ kind, fresh, warm, report: { held, after } }) =>
    (["agent", "orchestrator"] as const).map((process) => {
      const heldHere = held.map((usage) => usage[process]);
      const cells = [
        `${kind.toUpperCase()} target, ${process}`,
        ...[fresh, warm].map((usage) => describeUsage(usage[process])),
        heldHere.map(({ rss }) => megabytes(rss)).join(", "),
        String(Math.max(...heldHere.map(({ descriptors }) => descriptors))),
        describeUsage(after[process]),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  );
  const messages = seen.reduce((sum, { report }) => sum + report.sight.answered, 0);
  const table = [
    `${RELAYS} relays to each target for ${holdMs / 1000} s, after ${WARM_UPS} times ${(WARM_UP_MS * scale) / 1000} s to warm up, a message over each every ${PERIOD_S} s: ${messages.toLocaleString("en")} came back, none wrong,`,
    `no relay lost. Resident memory, descriptors.`,
    "",
    "| | fresh | warmed up | held: begin, middle, end | descriptors held | closed again |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return {
    problems: seen.flatMap(({ problems }) => problems),
    table,
    page: { path: "docs/reliability.md", kind: "place" },
  };
};
