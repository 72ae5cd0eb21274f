import type { Receipt } from "@farside/protocol";
import { hintFor } from "@farside/protocol/remedies";
import type { EventLog } from "./event-log.ts";
import type { ForwardCounters } from "./forward-counters.ts";
import { releaseInTime } from "./release-in-time.ts";
import { failureOf, type SessionEnd } from "./session-end.ts";
import type { SessionPlan } from "./session-plan.ts";
import type { SessionState } from "./session-state.ts";

export interface FinishedSession {
  readonly plan: SessionPlan;
  readonly log: EventLog;
  readonly state: SessionState;
  readonly counters: ForwardCounters;
  readonly wasReady: boolean;
  readonly receipt: Receipt | undefined;
}

/** Writes down, and tells, how a session ended that was torn down; `log` is its caller's to end. Never rejects. */
export async function finishSession(ended: FinishedSession): Promise<SessionEnd> {
  const { plan, log, receipt } = ended;
  const { name, host, folder, audit } = plan;
  const failure = failureOf({ ...ended, name, host });
  await releaseInTime(plan);
  const { openRelays: _, refusedRelays: __, ...counters } = ended.counters;
  const isClean = receipt?.clean !== false;
  await folder.finish(
    { phase: "closed", openRelays: 0, ...counters, ...(receipt && !isClean && { receipt }) },
    isClean,
  );
  if (receipt !== undefined) log.emit({ event: "receipt", ...receipt });
  if (failure !== undefined) {
    const { code, message, leg } = failure;
    const hint = hintFor(failure);
    log.emit({ event: "error", code, message, ...(hint !== undefined && { hint }), ...(leg && { leg }) });
  }
  const lost = await audit.close();
  if (lost > 0) log.emit({ event: "warning", message: `${lost} lines of the audit log were not written` });
  return { failure, receipt };
}
