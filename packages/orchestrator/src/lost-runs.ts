import { MAX_LOST_RUNS } from "@farside/protocol";
import { listSessions } from "./session-store.ts";
import { tracesOf } from "./traces.ts";

/**
 * The marks of agents on `host` (`user@host`) whose orchestrator on this workstation is dead: nobody renews their lease any more, so
 * that their ports may be taken. What was left to itself on purpose is not among them.
 */
export async function lostRuns(root: string, host: string): Promise<string[]> {
  const sessions = await listSessions(root);
  return (
    sessions
      .filter(({ record, isLive }) => !isLive && record.host === host && record.phase !== "detached")
      // The record follows a second later: the undo log is there before the agent is.
      .flatMap(({ undo }) => tracesOf(undo)?.nonce ?? [])
      .slice(-MAX_LOST_RUNS)
  );
}
