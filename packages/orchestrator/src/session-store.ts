import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, receipt } from "@farside/protocol";
import { isRunning, processStart } from "@farside/protocol/process-start";
import * as v from "valibot";
import { liveFacts } from "./live-facts.ts";
import { sessionLogin } from "./session-login.ts";
import { checkSessionName } from "./session-name.ts";
import { isOwnFolder, makeStateFolder, stateFolder } from "./state-folder.ts";

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
const undoLine = v.union([undoEntry, v.object({ undone: undoEntry })]);

/** A session as the workstation's folders show it. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly undo: readonly UndoEntry[];
  /** Its orchestrator still runs. */
  readonly isLive: boolean;
  readonly folder: string;
}

/**
 * A session's folder, owned by the one process that made it: `session.json`, replaced at most once a second, and the undo
 * log `undo.jsonl`. A clean end removes it.
 */
export class SessionFolder {
  readonly path: string;
  #record: SessionRecord;
  /** What is put into the record when it is next written. */
  #late: (() => Partial<SessionRecord>) | undefined;
  #undo: UndoEntry[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isFinished = false;
  readonly #intervalMs: number;
  readonly #onFailure: (error: unknown) => void;

  /** Takes the name. Throws `session.name-in-use`, or `config.invalid` where the folder can't be made. */
  static async create(
    root: string,
    first: Pick<SessionRecord, "name" | "jump" | "host" | "login" | "readyFile" | "graceMs">,
    options: { readonly intervalMs?: number; readonly onFailure?: (error: unknown) => void } = {},
  ): Promise<SessionFolder> {
    const path = join(root, checkSessionName(first.name));
    const start = (await processStart(process.pid)) ?? "";
    const record: SessionRecord = {
      ...{ version: 1, ...first, pid: process.pid, start },
      ...{ startedAt: new Date().toISOString(), phase: "connecting", forwards: [] },
      ...{ openRelays: 0, totalRelays: 0, bytesIn: 0, bytesOut: 0 },
    };
    try {
      await makeStateFolder(root);
      await takeName(root, path, first.name);
      const folder = new SessionFolder(path, record, options);
      await folder.#write();
      return folder;
    } catch (error) {
      throw error instanceof CodedError ? error : cannotKeep(path, error);
    }
  }

  private constructor(
    path: string,
    record: SessionRecord,
    {
      intervalMs = 1_000,
      onFailure = () => {},
    }: { intervalMs?: number; onFailure?: (error: unknown) => void },
  ) {
    this.path = path;
    this.#record = record;
    this.#intervalMs = intervalMs;
    this.#onFailure = onFailure;
  }

  get record(): SessionRecord {
    return this.#record;
  }

  /** What was or may have been made. */
  get undo(): readonly UndoEntry[] {
    return this.#undo;
  }

  /** Writes down what is about to be made; make it only when this has resolved. Rejects with `config.invalid`. */
  async making(entry: UndoEntry): Promise<void> {
    this.#undo = remaining(this.#undo, entry);
    await this.#append(entry);
  }

  /** Takes back what was not made: somebody else has that port. */
  async undone(entry: UndoEntry): Promise<void> {
    this.#undo = remaining(this.#undo, { undone: entry });
    await this.#append({ undone: entry });
  }

  /** Changes the record; the file follows within the interval. Never throws: the session is worth more than its record. */
  update(changes: Partial<SessionRecord>): void {
    if (this.#isFinished) return;
    this.#record = { ...this.#record, ...changes };
    this.#saveSoon();
  }

  /** As `update`, for what changes thousands of times a second: `changes` is called when the record is written. */
  updateLate(changes: () => Partial<SessionRecord>): void {
    if (this.#isFinished) return;
    this.#late = changes;
    this.#saveSoon();
  }

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => this.#save(), this.#intervalMs);
  }

  /** Brings the file up to date now: whoever is told of something next can see it there. Never rejects. */
  async saved(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#save();
    }
    await this.#writing;
  }

  /** The end: removes the folder after a clean one, else leaves the last record for `teardown`. */
  async finish(changes: Partial<SessionRecord>, isClean: boolean): Promise<void> {
    this.#isFinished = true;
    clearTimeout(this.#timer);
    await this.#writing;
    this.#takeLate();
    this.#record = { ...this.#record, ...changes };
    try {
      if (isClean) await rm(this.path, { recursive: true, force: true });
      else await this.#write();
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #save(): void {
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write()).catch(this.#onFailure);
  }

  async #append(line: v.InferOutput<typeof undoLine>): Promise<void> {
    const file = join(this.path, "undo.jsonl");
    await appendFile(file, `${JSON.stringify(line)}\n`, { mode: 0o600 }).catch((error) => {
      throw cannotKeep(this.path, error);
    });
  }

  #takeLate(): void {
    if (this.#late !== undefined) this.#record = { ...this.#record, ...this.#late() };
    this.#late = undefined;
  }

  async #write(): Promise<void> {
    this.#takeLate();
    const file = join(this.path, "session.json");
    await writeFile(`${file}.new`, `${JSON.stringify(this.#record, undefined, 2)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

/** What must be written down before it is made can't be. */
function cannotKeep(path: string, error: unknown): CodedError {
  return new CodedError(
    "config.invalid",
    `cannot keep the session's state in ${path}: ${(error as Error).message}`,
    {
      hint: "Set XDG_STATE_HOME to a folder that can be written and has room.",
      cause: error,
    },
  );
}

/** Makes the folder; one whose orchestrator is dead is made anew, as its agent ends without it. */
async function takeName(root: string, path: string, name: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const session = await readSession(root, name);
  if (session === undefined ? await isFresh(path) : session.isLive || isLeftRunning(session.record)) {
    throw new CodedError("session.name-in-use", `cannot name the session ${name}: a live one has that name`, {
      hint: `End it with: farside teardown ${name}`,
    });
  }
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
}

/** Whether the session's agent was left to itself and may still be there. */
export function isLeftRunning({ phase, expiresAt }: SessionRecord, now: number = Date.now()): boolean {
  return phase === "detached" && Date.parse(expiresAt ?? "") > now;
}

/** Whether a folder without a record may be one that another process is just making. */
async function isFresh(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path);
  return Date.now() - mtimeMs < 10_000;
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
    .reduce<UndoEntry[]>(remaining, []);
  // Who has left its agent to itself may live on for other reasons.
  const isLive = record.phase !== "detached" && (await isRunning(record));
  return { record, undo, isLive, folder };
}

function remaining(entries: UndoEntry[], line: v.InferOutput<typeof undoLine>): UndoEntry[] {
  if (!("undone" in line)) return [...entries, line];
  const undone = JSON.stringify(line.undone);
  return entries.filter((entry) => JSON.stringify(entry) !== undone);
}

/** The value in `text`; undefined for the torn last line of a crash. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
