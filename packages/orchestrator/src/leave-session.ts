import type { EventLog } from "./event-log.ts";
import type { ForwardCounters } from "./forward-counters.ts";
import { releaseInTime } from "./release-in-time.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionPlan } from "./session-plan.ts";

export interface LeftSession {
  readonly plan: SessionPlan;
  readonly log: EventLog;
  /** What went through it so far. */
  readonly counters: ForwardCounters;
  /** When its agent was there, in ms since 1970. */
  readonly startedAt: number;
}

/** Writes down, and tells, the end of a session whose agent goes on; `log` is ended. Never rejects. */
export async function leaveSession({ plan, log, counters, startedAt }: LeftSession): Promise<SessionEnd> {
  await releaseInTime(plan);
  const { refusedRelays: _, ...rest } = counters;
  const expiresAt = new Date(startedAt + plan.ttlMs).toISOString();
  await plan.folder.finish({ phase: "detached", expiresAt, ...rest }, false);
  log.emit({ event: "detached", session: plan.name, host: plan.host, expiresAt });
  await plan.audit.close();
  log.end();
  return { failure: undefined, receipt: undefined };
}
