import type { takeoverReasons } from "@farside/protocol";
import type { ProvenAgent } from "./proven-agent.ts";

/** What whoever wants a port may take it from. */
export interface TakeoverRequest {
  /** Its own session. */
  readonly session: string;
  /** Deploys whose orchestrator is known to be dead: nobody renews their lease. */
  readonly lostRuns: readonly string[];
  /** From a live session too. */
  readonly isForced: boolean;
}

/** Why an agent's port is taken over. */
export type TakeoverReason = Exclude<(typeof takeoverReasons)[number], "stale-socket">;

/** An agent ends itself at the end of its lease: one that is still there so much later hangs or is stopped. */
const LEASE_MARGIN_S = 2;

/** Why the agent that holds a port has to give way; undefined where it is a live one and nobody forces it. */
export function decideTakeover(
  holder: Pick<ProvenAgent, "session" | "run" | "leaseOverForS">,
  { session, lostRuns, isForced }: TakeoverRequest,
): TakeoverReason | undefined {
  if (holder.session === session) return "same-name";
  if (lostRuns.includes(holder.run)) return "orchestrator-gone";
  if (holder.leaseOverForS !== undefined && holder.leaseOverForS > LEASE_MARGIN_S) return "lease-over";
  return isForced ? "forced" : undefined;
}
