import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "@farside/protocol/process-start";
import * as v from "valibot";
import { remaining, type SessionRecord, sessionRecord, type UndoEntry, undoLine } from "./session-record.ts";
import { isOwnFolder, stateFolder } from "./state-folder.ts";

/** A session as the workstation's folders show it. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly undo: readonly UndoEntry[];
  /** Its orchestrator still runs. */
  readonly isLive: boolean;
  readonly folder: string;
}

/** Whether the session's agent was left to itself and may still be there. */
export function isLeftRunning({ phase, expiresAt }: SessionRecord, now: number = Date.now()): boolean {
  return phase === "detached" && Date.parse(expiresAt ?? "") > now;
}

/** The sessions in `root`, by name; folders that hold none are left out. */
export async function listSessions(root: string = stateFolder()): Promise<StoredSession[]> {
  const names = await readdir(root).catch(() => []);
  const sessions = await Promise.all(names.sort().map((name) => readSession(root, name)));
  return sessions.filter((session) => session !== undefined);
}

/** The session `name`; undefined where there is none. */
export async function readSession(root: string, name: string): Promise<StoredSession | undefined> {
  const folder = join(root, name);
  if (!(await isOwnFolder(folder))) return undefined;
  const text = await readFile(join(folder, "session.json"), "utf8").catch(() => undefined);
  const parsed = text === undefined ? undefined : v.safeParse(sessionRecord, parseJson(text));
  if (parsed?.success !== true || parsed.output.name !== name) return undefined;
  const record = parsed.output;
  const log = await readFile(join(folder, "undo.jsonl"), "utf8").catch(() => "");
  const undo = log
    .split("\n")
    .map((line) => v.safeParse(undoLine, parseJson(line)))
    .flatMap((line) => (line.success ? [line.output] : []))
    .reduce<UndoEntry[]>((entries, line) => remaining(entries, line), []);
  // Who has left its agent to itself may live on for other reasons.
  const isLive = record.phase !== "detached" && (await isRunning(record));
  return { record, undo, isLive, folder };
}

/** The value in `text`; undefined for the torn last line of a crash. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
