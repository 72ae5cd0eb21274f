import * as v from "valibot";
import { type AuditLine, type ChainHead, chainHead, hashOfLine, NO_HASH, parseLine } from "./audit-line.ts";

/** Something that is not as it was written. */
export interface ChainFinding {
  /** `changed`: a line, or the one before it. `missing`: lines are gone. `order`: a line that does not belong there. */
  readonly kind: "changed" | "missing" | "order";
  /** Number of the first line that it is about, as far as it is known. */
  readonly seq: number;
  /** In plain words; harmless. */
  readonly says: string;
}

export interface ChainReport {
  /** Lines that were read, as far as they are some. */
  readonly lines: number;
  readonly first: ChainHead | undefined;
  readonly last: ChainHead | undefined;
  readonly findings: readonly ChainFinding[];
  /** What happened and was said where it did: writing that broke off, files that were removed when there were enough. */
  readonly notes: readonly string[];
}

const repairedLine = v.object({
  event: v.literal("repaired"),
  fragments: v.optional(v.array(v.string())),
  missing: v.optional(v.object({ from: v.number(), through: v.number(), hash: v.string() })),
  changed: v.optional(chainHead),
});
const rotatedLine = v.object({ event: v.literal("rotated"), removedThrough: v.optional(chainHead) });

/**
 * Follows a chain line by line: pure, in one pass, in memory that does not grow with it. `push` takes each line without its line
 * break; `expected` are places that the chain must have: what a head file, a receipt or another machine has kept of it.
 */
export class ChainCheck {
  readonly #expected: Map<number, string[]>;
  readonly #findings: ChainFinding[] = [];
  readonly #notes: string[] = [];
  /** Hashes of what was read since the last line and is none. */
  #fragments: string[] = [];
  #lines = 0;
  #first: ChainHead | undefined;
  #last: ChainHead | undefined;
  /** What stood before the first line, which a later line must account for. */
  #before: ChainHead | undefined;

  constructor(expected: readonly ChainHead[] = []) {
    this.#expected = new Map();
    for (const { seq, hash } of expected) this.#expected.set(seq, [...(this.#expected.get(seq) ?? []), hash]);
  }

  push(bytes: Uint8Array): void {
    const line = parseLine(bytes);
    const hash = hashOfLine(bytes);
    if (line === undefined) {
      this.#fragments.push(hash);
      return;
    }
    this.#lines += 1;
    const repaired = v.safeParse(repairedLine, line);
    const repair = repaired.success ? repaired.output : undefined;
    this.#checkFragments(line, repair?.fragments ?? []);
    this.#checkPlace(line, repair?.missing);
    if (repair?.changed !== undefined) {
      const { seq } = repair.changed;
      this.#find(
        "changed",
        seq,
        `line ${seq} was changed before line ${line.seq} was written, which says so`,
      );
    }
    this.#checkRemoved(line);
    this.#checkExpected(line.seq, hash);
    this.#last = { seq: line.seq, hash };
    this.#first ??= this.#last;
  }

  /** The report; `isWhole` is false where the last line had no line break. */
  end({ isWhole }: { readonly isWhole: boolean }): ChainReport {
    const behind = (this.#last?.seq ?? 0) + 1;
    if (this.#fragments.length > 0) {
      this.#find("changed", behind, `behind line ${behind - 1} stands something that is no line of the log`);
      this.#fragments = [];
    } else if (!isWhole)
      this.#notes.push(`line ${behind - 1} has no line break: the next one that is written adds it`);
    if (this.#before !== undefined) {
      const { seq } = this.#before;
      this.#find("missing", 1, `lines 1 to ${seq} are missing, and no line says that they were removed`);
    }
    for (const seq of [...this.#expected.keys()].sort((a, b) => a - b)) {
      if (seq >= behind) {
        this.#find(
          "missing",
          behind,
          `lines ${behind} to ${seq} are missing: line ${seq} is known to have been written`,
        );
        break;
      }
      if (seq >= (this.#first?.seq ?? 1)) continue;
      this.#notes.push(`line ${seq} can't be compared any more: it is in a file that was removed`);
    }
    return {
      ...{ lines: this.#lines, first: this.#first, last: this.#last },
      ...{ findings: this.#findings, notes: this.#notes },
    };
  }

  #checkFragments(line: AuditLine, told: readonly string[]): void {
    const found = this.#fragments;
    this.#fragments = [];
    if (found.length === 0 && told.length === 0) return;
    const isTold = found.length === told.length && found.every((hash, index) => hash === told[index]);
    if (isTold) this.#notes.push(`the writing of a line broke off before line ${line.seq}, which says so`);
    else this.#find("changed", line.seq, `before line ${line.seq} stands something else than was written`);
  }

  #checkPlace(line: AuditLine, missing: { from: number; through: number } | undefined): void {
    const { seq, prev } = line;
    const last = this.#last;
    if (last === undefined) {
      if (seq > 1) this.#before = { seq: seq - 1, hash: prev };
      else if (prev !== NO_HASH) this.#find("changed", seq, "line 1 was changed: nothing can be before it");
      return;
    }
    let expected = last.seq + 1;
    if (missing !== undefined) {
      const { from, through } = missing;
      this.#find(
        "missing",
        from,
        `lines ${from} to ${through} were gone when line ${seq} was written, which says so`,
      );
      if (from === expected) expected = through + 1;
    }
    if (seq > expected) this.#find("missing", expected, `lines ${expected} to ${seq - 1} are missing`);
    else if (seq < expected) this.#find("order", seq, `line ${seq} stands behind line ${last.seq}`);
    else if (prev !== last.hash)
      this.#find(
        "changed",
        last.seq,
        `line ${last.seq} or line ${seq} was changed: they do not follow each other`,
      );
  }

  /** The chain may begin later than with line 1 where a line of it says that the files before were removed. */
  #checkRemoved(line: AuditLine): void {
    const rotated = v.safeParse(rotatedLine, line);
    const removed = rotated.success ? rotated.output.removedThrough : undefined;
    if (removed === undefined || this.#before === undefined) return;
    if (removed.seq !== this.#before.seq || removed.hash !== this.#before.hash) return;
    this.#notes.push(
      `lines 1 to ${removed.seq} were removed when there were enough, as line ${line.seq} says`,
    );
    this.#before = undefined;
  }

  #checkExpected(seq: number, hash: string): void {
    const hashes = this.#expected.get(seq);
    if (hashes === undefined) return;
    this.#expected.delete(seq);
    if (hashes.every((known) => known === hash)) return;
    this.#find("changed", seq, `line ${seq} is not the one that is known to have been written`);
  }

  #find(kind: ChainFinding["kind"], seq: number, says: string): void {
    // One change may break everything behind it: more would not say more.
    if (this.#findings.length < 100) this.#findings.push({ kind, seq, says });
  }
}
