import type { ProcessUsage } from "../support/process-usage.ts";
import { KEPT_TABLES, type SessionUsage } from "./measured-session.ts";

/** How much more resident memory than before counts as "back". */
const TOLERANCE = 0.05;

/** What of both processes is not back at what it was: descriptors, and resident memory. */
export function whatStays(before: SessionUsage, after: SessionUsage): string[] {
  return (["agent", "orchestrator"] as const).flatMap((process) =>
    stays(before[process], after[process]).map((problem) => `${process}: ${problem}`),
  );
}

function stays(before: ProcessUsage, after: ProcessUsage): string[] {
  const more = after.rss / before.rss - 1;
  return [
    ...(after.descriptors > before.descriptors + KEPT_TABLES
      ? [`${after.descriptors} descriptors after ${before.descriptors}`]
      : []),
    ...(more > TOLERANCE ? [`resident memory is up ${(more * 100).toFixed(1)} %`] : []),
  ];
}
