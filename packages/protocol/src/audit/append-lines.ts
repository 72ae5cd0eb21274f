import { rename, unlink } from "node:fs/promises";
import { basename } from "node:path";
import type { AuditFiles } from "./audit-files.ts";
import { type AuditEntry, type ChainHead, nextLine } from "./audit-line.ts";
import { lastLineOf, readChainEnd } from "./chain-end.ts";
import { openLog } from "./open-log.ts";

/** An entry and when it happened. */
export interface TimedEntry {
  readonly at: string;
  readonly entry: AuditEntry;
}

export interface AppendOptions {
  /** A file that has grown to this is put aside. */
  readonly maxFileBytes: number;
  /** Files put aside that are kept. */
  readonly maxOlderFiles: number;
  /** Whether to wait until the lines have reached the disk. */
  readonly sync: boolean;
}

export interface Appended {
  /** The newest line now. */
  readonly head: ChainHead | undefined;
  /** How many of the entries are in the file: not all where the disk is full. */
  readonly written: number;
  /** Why not all. */
  readonly failure?: unknown;
}

/**
 * Appends `entries` to the chain in `files` in one write, under the lock of the files, which the caller holds. Where the end of the
 * chain is not as it was left, an entry in front says so.
 */
export async function appendLines(
  files: AuditFiles,
  entries: readonly TimedEntry[],
  options: AppendOptions,
): Promise<Appended> {
  const handle = await openLog(files.current);
  let size: number;
  let head: ChainHead | undefined;
  try {
    const end = await readChainEnd(files, handle);
    const at = entries[0]?.at ?? new Date().toISOString();
    const all = end.repair === undefined ? entries : [{ at, entry: end.repair }, ...entries];
    const lines: ReturnType<typeof nextLine>[] = [];
    head = end.head;
    for (const each of all) {
      const next = nextLine(each.entry, each.at, head);
      lines.push(next);
      head = next.head;
    }
    try {
      const text = lines.map(({ line }) => `${line}\n`).join("");
      await handle.appendFile(end.needsBreak ? `\n${text}` : text);
      if (options.sync) await handle.datasync();
    } catch (failure) {
      // What is there already must not be written twice.
      const reached = (await readChainEnd(files, handle)).head;
      const count = lines.findIndex((each) => each.head.hash === reached?.hash) + 1;
      return { head: reached, written: Math.max(0, count - (all.length - entries.length)), failure };
    }
    ({ size } = await handle.stat());
  } finally {
    await handle.close();
  }
  const written = entries.length;
  if (head === undefined) return { head, written };
  try {
    // Behind the lines, so that it never names one that is not there.
    await files.writeHead(head);
    if (size >= options.maxFileBytes) head = await putAside(files, head, options);
    return { head, written };
  } catch (failure) {
    return { head, written, failure };
  }
}

/** Begins a new file, whose first line says what became of older ones: else their lines would only be missing. */
async function putAside(files: AuditFiles, head: ChainHead, options: AppendOptions): Promise<ChainHead> {
  const aside = files.older(head.seq);
  const kept = await files.listOlder();
  const removed = kept.slice(0, Math.max(0, kept.length + 1 - options.maxOlderFiles));
  const lastRemoved = removed.at(-1);
  const last = lastRemoved === undefined ? undefined : await lastLineOf(lastRemoved);
  await rename(files.current, aside);
  const entry: AuditEntry = {
    ...{ event: "rotated", file: basename(aside) },
    ...(last !== undefined && { removedThrough: { seq: last.seq, hash: last.hash } }),
  };
  const next = nextLine(entry, new Date().toISOString(), head);
  const handle = await openLog(files.current);
  try {
    await handle.appendFile(`${next.line}\n`);
  } finally {
    await handle.close();
  }
  await files.writeHead(next.head);
  if (last !== undefined) for (const path of removed) await unlink(path).catch(() => {});
  return next.head;
}
