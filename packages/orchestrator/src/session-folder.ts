import { appendFile, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@farside/protocol";
import { processStart } from "@farside/protocol/process-start";
import { checkSessionName } from "./session-name.ts";
import { remaining, type SessionRecord, type UndoEntry, type UndoLine } from "./session-record.ts";
import { isLeftRunning, readSession } from "./session-store.ts";
import { cannotKeep, makeStateFolder } from "./state-folder.ts";

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

  async #append(line: UndoLine): Promise<void> {
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

/** Whether a folder without a record may be one that another process is just making. */
async function isFresh(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path);
  return Date.now() - mtimeMs < 10_000;
}
