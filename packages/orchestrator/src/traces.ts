import type { Traces } from "./leftovers.ts";
import type { UndoEntry } from "./session-record.ts";

/** What to look for on the host, from an undo log; undefined where no agent was ever started. */
export function tracesOf(undo: readonly UndoEntry[]): Traces | undefined {
  const agent = undo.findLast((entry) => entry.made === "agent");
  if (agent === undefined) return undefined;
  return {
    nonce: agent.nonce,
    ports: [...new Set(undo.flatMap((entry) => (entry.made === "listener" ? [entry.port] : [])))],
    sockets: [...new Set(undo.flatMap((entry) => (entry.made === "socket" ? [entry.path] : [])))],
    controls: [...new Set(undo.flatMap((entry) => (entry.made === "control" ? [entry.session] : [])))],
    mayHaveRuntime: undo.some((entry) => entry.made === "runtime"),
  };
}
