import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { type ChainHead, chainHead } from "./audit-line.ts";

/** Where the files of one chain are, and what they are called. */
export class AuditFiles {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** What is written to. */
  get current(): string {
    return join(this.folder, "audit.jsonl");
  }

  /** Held while something is written. */
  get lock(): string {
    return join(this.folder, "audit.lock");
  }

  /** Names the newest line, so that one that is cut off is missed. */
  get head(): string {
    return join(this.folder, "audit.head");
  }

  /** What the file becomes that begins with the line `seq`. */
  older(seq: number): string {
    return join(this.folder, `audit.${String(seq).padStart(12, "0")}.jsonl`);
  }

  /** Full files, oldest first. */
  async listOlder(): Promise<string[]> {
    const names = await readdir(this.folder).catch(() => []);
    return names
      .filter((name) => /^audit\.\d{12}\.jsonl$/.test(name))
      .sort()
      .map((name) => join(this.folder, name));
  }

  /** Undefined where there is none, or none that can be read. */
  async readHead(): Promise<ChainHead | undefined> {
    try {
      const parsed = v.safeParse(chainHead, JSON.parse(await readFile(this.head, "utf8")));
      return parsed.success ? parsed.output : undefined;
    } catch {
      return undefined;
    }
  }

  /** Under the lock only. */
  async writeHead({ seq, hash }: ChainHead): Promise<void> {
    const next = `${this.head}.new`;
    // One that a crash left, or a link that somebody put there: it is not written through.
    await rm(next, { force: true });
    await writeFile(next, `${JSON.stringify({ seq, hash })}\n`, { flag: "wx", mode: 0o600 });
    await rename(next, this.head);
  }
}

/** Whether `name` is one that the audit's files have, so that nothing else may be called so. */
export function isAuditName(name: string): boolean {
  return /^audit\./i.test(name);
}
