import { receipt } from "@farside/protocol";
import * as v from "valibot";
import { liveFacts } from "./live-facts.ts";
import { sessionLogin } from "./session-login.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const forward = v.object({
  id: v.string(),
  bind: v.array(v.string()),
  target: v.string(),
  via: v.array(v.string()),
});

/** What is kept of a session on the workstation, for `status` and `teardown`. No secrets. */
export const sessionRecord = v.object({
  version: v.literal(1),
  name: v.string(),
  /** The orchestrator: its pid, and when that process started. */
  pid: v.pipe(count, v.minValue(1)),
  start: v.string(),
  startedAt: v.string(),
  /** The jump host as it was written, and as `user@host`. */
  jump: v.string(),
  host: v.string(),
  login: v.optional(sessionLogin),
  /** Where its `--ready-file` is while it is ready. */
  readyFile: v.optional(v.string()),
  /** What open relays get at a teardown. */
  graceMs: v.optional(count),
  phase: v.string(),
  /** Where the card is, where one logs in: a state of the event `card.state`. */
  card: v.optional(v.string()),
  /** When the agent of a session that was left to itself ends. */
  expiresAt: v.optional(v.string()),
  agentPid: v.optional(count),
  /** Marks the session's processes on the jump host. */
  nonce: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
  forwards: v.array(forward),
  /** Where the agent answers for its metrics by TCP. */
  metrics: v.optional(v.array(v.string())),
  openRelays: count,
  totalRelays: count,
  bytesIn: count,
  bytesOut: count,
  /** What its agent said of itself when it was last asked. */
  live: v.optional(liveFacts),
  /** What the last look at the host found, where it was not clean. */
  receipt: v.optional(receipt),
});
export type SessionRecord = v.InferOutput<typeof sessionRecord>;

const undoEntry = v.variant("made", [
  v.object({ made: v.literal("agent"), nonce: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)) }),
  v.object({ made: v.literal("listener"), port: v.pipe(count, v.maxValue(65_535)) }),
  v.object({ made: v.literal("socket"), path: v.string() }),
  /** A Node.js that was sent; its folder has the agent's nonce in its name. */
  v.object({ made: v.literal("runtime") }),
  /** The control socket and the log of a resident agent, in one of the folders that it may be in. */
  v.object({ made: v.literal("control"), session: v.string() }),
]);
/** One thing that a session makes on the jump host, written down before it is made. */
export type UndoEntry = v.InferOutput<typeof undoEntry>;
/** A line of the undo log: what is about to be made, or what was not made after all. */
export const undoLine = v.union([undoEntry, v.object({ undone: undoEntry })]);
export type UndoLine = v.InferOutput<typeof undoLine>;

/** What the log stands for once `line` is at its end. */
export function remaining(entries: readonly UndoEntry[], line: UndoLine): UndoEntry[] {
  if (!("undone" in line)) return [...entries, line];
  const undone = JSON.stringify(line.undone);
  return entries.filter((entry) => JSON.stringify(entry) !== undone);
}
