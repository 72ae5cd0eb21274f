import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, rm } from "node:fs/promises";
import { Writable } from "node:stream";

const MAX_BYTES = 1024 * 1024;

export interface LogFileOptions {
  /** In a private folder. `PATH.1` is what was written before. */
  readonly path: string;
  /** A file that would grow beyond it is put aside; so there are twice as many bytes at most. Default: 1 MiB. */
  readonly maxBytes?: number | undefined;
}

/**
 * The log of an agent whose standard streams lead nowhere: two files of mode 0600, as long as it lives. What is written before `begin` waits;
 * what can't be written is dropped, for nothing waits for a log.
 */
export class LogFile extends Writable {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #begun: Promise<void>;
  #begin: () => void = () => undefined;
  #handle: FileHandle | undefined;
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #hasBegun = false;
  #isRemoved = false;

  constructor({ path, maxBytes = MAX_BYTES }: LogFileOptions) {
    super({ decodeStrings: true });
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  /** The names are ours alone: files that another process has left under them, which is gone, are replaced. */
  async begin(): Promise<void> {
    await this.#removeFiles();
    this.#hasBegun = true;
    this.#begin();
  }

  /** Removes the files, where they are ours, and drops what still comes. Idempotent. */
  async remove(): Promise<void> {
    this.#isRemoved = true;
    this.#begin();
    await this.#writing;
    await this.#handle?.close().catch(() => undefined);
    this.#handle = undefined;
    if (this.#hasBegun) await this.#removeFiles();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#writing = this.#append(chunk).catch(() => undefined);
    void this.#writing.then(() => done());
  }

  async #append(chunk: Buffer): Promise<void> {
    await this.#begun;
    if (this.#isRemoved) return;
    if (this.#handle !== undefined && this.#bytes + chunk.length > this.#maxBytes) await this.#putAside();
    this.#handle ??= await this.#open();
    await this.#handle.appendFile(chunk);
    this.#bytes += chunk.length;
  }

  async #putAside(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    await rename(this.#path, `${this.#path}.1`);
  }

  async #open(): Promise<FileHandle> {
    this.#bytes = 0;
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL;
    return open(this.#path, flags | constants.O_NOFOLLOW, 0o600);
  }

  async #removeFiles(): Promise<void> {
    for (const path of logFilesOf(this.#path)) await rm(path, { force: true }).catch(() => undefined);
  }
}

/** The files of a log, the newest first. */
export function logFilesOf(path: string): readonly [string, string] {
  return [path, `${path}.1`];
}

/** Whether a log is there. */
export async function hasLog(path: string): Promise<boolean> {
  return lstat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}
