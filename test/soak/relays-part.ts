import { type CrowdReport, holdCrowd } from "../scale/hold-crowd.ts";
import type { SessionUsage } from "../scale/measured-session.ts";
import { describeUsage, megabytes } from "../support/process-usage.ts";
import { measureTargets, processTable, type TargetReport } from "./measure-targets.ts";
import type { SoakPart } from "./part.ts";

const RELAYS = 2_000;
const HOLD_MS = 600_000;
const WARM_UPS = 3;
const WARM_UP_MS = 30_000;
const PERIOD_S = 20;
/** Further connections to the hop close a minute after their last relay. */
const SETTLE = { withinMs: 90_000, restMs: 31_500 };

interface Report extends TargetReport {
  readonly warm: SessionUsage;
  readonly crowd: CrowdReport;
}

/**
 * 2,000 relays for ten minutes to a TCP target and as many to an SSH target, at the same time, each in an agent of its own. The first
 * crowds only warm up; what they leave behind is what the last is measured by. `scale` shortens the ten minutes.
 */
export const relaysPart: SoakPart = async ({ seed, scale, say }) => {
  const holdMs = Math.max(HOLD_MS * scale, PERIOD_S * 1_000);
  const measured = await measureTargets<Report>(async ({ lab, session, fresh }) => {
    const common = { lab, session, seed, count: RELAYS, periodS: PERIOD_S, settle: SETTLE };
    let warm = fresh;
    for (let round = 1; round <= WARM_UPS; round += 1) {
      // Only after the last one are further connections waited for that nobody needs any more.
      const settle = round < WARM_UPS ? { ...SETTLE, withinMs: 0 } : SETTLE;
      const warmUpMs = Math.max(WARM_UP_MS * scale, 1_000);
      warm = (await holdCrowd({ ...common, holdMs: warmUpMs, settle, seed: seed + round }, fresh)).after;
      say(`${session.kind}: ${round} of ${WARM_UPS} crowds to warm up`);
    }
    const crowd = await holdCrowd({ ...common, holdMs, say }, warm);
    return { warm, crowd, problems: crowd.problems };
  });
  const columns = ["fresh", "warmed up", "held: begin, middle, end", "descriptors held", "closed again"];
  const messages = measured.reduce((sum, { crowd }) => sum + crowd.sight.answered, 0);
  const table = [
    `${RELAYS} relays to each target for ${holdMs / 1000} s, after ${WARM_UPS} times ${(WARM_UP_MS * scale) / 1000} s to warm up, a message over each every ${PERIOD_S} s: ${messages.toLocaleString("en")} came back, none wrong,`,
    `no relay lost. Resident memory, descriptors.`,
    "",
    ...processTable(columns, measured, ({ fresh, warm, crowd: { held, after } }, process) => [
      describeUsage(fresh[process]),
      describeUsage(warm[process]),
      held.map((usage) => megabytes(usage[process].rss)).join(", "),
      String(Math.max(...held.map((usage) => usage[process].descriptors))),
      describeUsage(after[process]),
    ]),
  ].join("\n");
  return {
    problems: measured.flatMap(({ problems }) => problems),
    table,
    page: { path: "docs/reliability.md", kind: "place" },
  };
};
