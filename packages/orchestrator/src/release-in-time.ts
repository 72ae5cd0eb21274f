import { within } from "./end-agent.ts";
import type { SessionPlan } from "./session-plan.ts";

/** How long closing an identity may take. */
const RELEASE_TIMEOUT_MS = 5_000;

/** Releases what was opened for a session, without waiting for ever. Never rejects. */
export async function releaseInTime(plan: Pick<SessionPlan, "release">): Promise<void> {
  await within(RELEASE_TIMEOUT_MS, plan.release());
}
