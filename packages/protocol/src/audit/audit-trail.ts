import { mkdir } from "node:fs/promises";
import { appendLines, type TimedEntry } from "./append-lines.ts";
import { AuditFiles } from "./audit-files.ts";
import { type AuditEntry, type ChainHead, MAX_LINE_BYTES } from "./audit-line.ts";
import { withFileLock } from "./file-lock.ts";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_OLDER_FILES = 15;
/** Entries that may wait; beyond it those that may be dropped are, and counted. */
const MAX_WAITING = 20_000;
/** Beyond it nothing is taken any more. */
const MAX_WAITING_AT_ALL = 2 * MAX_WAITING;
const MAX_BATCH = 2_000;
/** What comes within this time is written at once. */
const GATHER_MS = 20;
const RETRY_MS = 1_000;
/** In UTF-8 and with its escapes it then still is a line. */
const MAX_ENTRY_CHARACTERS = MAX_LINE_BYTES / 8;

export interface AuditTrailOptions {
  /** Made, 0700, where it is missing. */
  readonly folder: string;
  readonly now?: (() => Date) | undefined;
  readonly maxFileBytes?: number | undefined;
  readonly maxOlderFiles?: number | undefined;
  /** Called when writing begins to fail, once until it works again. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/**
 * An append-only log of JSON lines, `audit.jsonl` in a folder, where each line has the hash of the one before. Several processes may
 * write to it. Taking an entry never waits and never throws; lines that could not be written are tried again until `close`.
 */
export class AuditTrail implements AsyncDisposable {
  readonly #options: AuditTrailOptions;
  readonly #files: AuditFiles;
  readonly #now: () => Date;
  #waiting: (TimedEntry & { readonly isKept: boolean })[] = [];
  #dropped = 0;
  #attempting: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #head: ChainHead | undefined;
  #isFailing = false;
  #isClosed = false;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#files = new AuditFiles(options.folder);
    this.#now = options.now ?? (() => new Date());
  }

  /** The newest line that this process has written. */
  get head(): ChainHead | undefined {
    return this.#head;
  }

  /** Takes `entry`, whose strings are harmless already. With `mayDrop` it is given up, and counted, where too much waits. */
  append(entry: AuditEntry, { mayDrop = false }: { readonly mayDrop?: boolean } = {}): void {
    const limit = mayDrop ? MAX_WAITING : MAX_WAITING_AT_ALL;
    if (this.#isClosed || this.#waiting.length >= limit) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push({ at: this.#now().toISOString(), entry: bounded(entry), isKept: !mayDrop });
    this.#schedule();
  }

  /** Resolves when all that was taken is written, or can't be. */
  async flush(): Promise<void> {
    // One that is under way may have begun before it could work.
    await this.#attempting;
    do await this.#attempt();
    while (this.#waiting.length > 0 && !this.#isFailing);
  }

  /** Writes what waits, as far as that is possible within `withinMs`, and takes nothing more. Resolves with how many entries are lost. */
  async close(withinMs = 2_000): Promise<number> {
    this.#isClosed = true;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.flush(), tooLate]);
    clearTimeout(timer);
    clearTimeout(this.#timer);
    return this.#waiting.length + this.#dropped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #schedule(): void {
    if (this.#attempting !== undefined) return;
    this.#timer ??= setTimeout(() => void this.#attempt(), this.#isFailing ? RETRY_MS : GATHER_MS);
  }

  #attempt(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#attempting ??= this.#try().finally(() => {
      this.#attempting = undefined;
      if (this.#waiting.length > 0 && !this.#isClosed) this.#schedule();
    });
    return this.#attempting;
  }

  async #try(): Promise<void> {
    if (this.#waiting.length + this.#dropped === 0) return;
    try {
      await this.#write();
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#options.onFailure?.(error);
      this.#isFailing = true;
    }
  }

  async #write(): Promise<void> {
    const { folder, maxFileBytes = MAX_FILE_BYTES, maxOlderFiles = MAX_OLDER_FILES } = this.#options;
    if (this.#dropped > 0) {
      const entry = { event: "dropped", count: this.#dropped };
      this.#waiting.push({ at: this.#now().toISOString(), entry, isKept: true });
      this.#dropped = 0;
    }
    const batch = this.#waiting.slice(0, MAX_BATCH);
    const sync = batch.some(({ isKept }) => isKept);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { head, written, failure } = await withFileLock(this.#files.lock, () =>
      appendLines(this.#files, batch, { maxFileBytes, maxOlderFiles, sync }),
    );
    this.#head = head;
    this.#waiting.splice(0, written);
    if (failure !== undefined) throw failure;
  }
}

/** Nothing of a host may make a line that nobody can read any more. */
function bounded(entry: AuditEntry): AuditEntry {
  // As long as its canonical form, and much sooner had.
  return JSON.stringify(entry).length <= MAX_ENTRY_CHARACTERS
    ? entry
    : { event: entry.event, omitted: "it was too long" };
}
