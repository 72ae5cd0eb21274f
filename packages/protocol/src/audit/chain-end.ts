import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { AuditFiles } from "./audit-files.ts";
import { type AuditEntry, type ChainHead, hashOfLine, MAX_LINE_BYTES, parseLine } from "./audit-line.ts";

/** How far back a last whole line is looked for: what a batch that broke off can leave behind it is one line. */
const LOOK_BACK_BYTES = 4 * (MAX_LINE_BYTES + 1);
const LINE_BREAK = 0x0a;

/** Where a chain goes on, and what its next line has to say of how it was found. */
export interface ChainEnd {
  /** Undefined for a chain that begins. */
  readonly head: ChainHead | undefined;
  /** The file does not end with a line break. */
  readonly needsBreak: boolean;
  /** What was wrong, as the entry that says so; nothing is ever mended without one. */
  readonly repair: AuditEntry | undefined;
}

/** Reads where the chain in `files` goes on; `current` is its open file. */
export async function readChainEnd(files: AuditFiles, current: FileHandle): Promise<ChainEnd> {
  const end = await readFileEnd(current);
  const [known, before] = [await files.readHead(), end.head ?? (await endOfOlder(files))];
  const { fragments, needsBreak } = end;
  const cutOff = known !== undefined && known.seq > (before?.seq ?? 0);
  const isChanged = known !== undefined && known.seq === before?.seq && known.hash !== before.hash;
  if (fragments.length === 0 && !cutOff && !isChanged) return { head: before, needsBreak, repair: undefined };
  const repair: AuditEntry = {
    event: "repaired",
    ...(fragments.length > 0 && { fragments }),
    ...(cutOff && { missing: { from: (before?.seq ?? 0) + 1, through: known.seq, hash: known.hash } }),
    ...(isChanged && { changed: { seq: known.seq, hash: known.hash } }),
  };
  // Numbers go on behind what is missing; the hash is that of what is there.
  const head = cutOff ? { seq: known.seq, hash: before?.hash ?? "0".repeat(64) } : before;
  return { head, needsBreak, repair };
}

interface FileEnd {
  readonly head: ChainHead | undefined;
  /** Hashes of what stands behind the last line and is none: writing that broke off. */
  readonly fragments: readonly string[];
  readonly needsBreak: boolean;
}

async function readFileEnd(handle: FileHandle): Promise<FileEnd> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.min(size, LOOK_BACK_BYTES));
  await handle.read(bytes, 0, bytes.length, size - bytes.length);
  const needsBreak = bytes.length > 0 && bytes.at(-1) !== LINE_BREAK;
  const fragments: string[] = [];
  for (let end = needsBreak ? bytes.length : bytes.length - 1; end > 0; ) {
    const start = bytes.lastIndexOf(LINE_BREAK, end - 1) + 1;
    const line = bytes.subarray(start, end);
    const parsed = parseLine(line);
    if (parsed !== undefined)
      return { head: { seq: parsed.seq, hash: hashOfLine(line) }, fragments, needsBreak };
    fragments.unshift(hashOfLine(line));
    end = start - 1;
  }
  return { head: undefined, fragments, needsBreak };
}

/** The newest file may be gone between its renaming and the next one's first line. */
async function endOfOlder(files: AuditFiles): Promise<ChainHead | undefined> {
  const newest = (await files.listOlder()).at(-1);
  return newest === undefined ? undefined : lastLineOf(newest);
}

/** The place of the last line of a full file; undefined where it can't be read. */
export async function lastLineOf(path: string): Promise<ChainHead | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  try {
    return handle === undefined ? undefined : (await readFileEnd(handle)).head;
  } finally {
    await handle?.close();
  }
}
