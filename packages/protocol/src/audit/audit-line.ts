import { createHash } from "node:crypto";
import * as v from "valibot";
import { type CanonicalValue, canonicalJson } from "./canonical-json.ts";

/** Longest line that is read or written, in bytes, without its line break. */
export const MAX_LINE_BYTES = 64 * 1024;
/** What the first line of all has for the hash of the one before. */
export const NO_HASH = "0".repeat(64);

const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const seq = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** A place in the chain: the number of a line, and its hash. */
export const chainHead = v.object({ seq, hash });
export type ChainHead = v.InferOutput<typeof chainHead>;

/** What every line has; the other fields depend on its event. */
const auditLine = v.looseObject({
  v: v.literal(1),
  /** Counts up from 1, through all files. */
  seq,
  at: v.pipe(v.string(), v.isoTimestamp()),
  event: v.pipe(v.string(), v.minLength(1)),
  /** SHA-256 of the line before, without its line break, hex. */
  prev: hash,
});
export type AuditLine = v.InferOutput<typeof auditLine>;

/** What is written down: an event and its fields, plain and without secrets. */
export interface AuditEntry {
  readonly event: string;
  readonly [field: string]: CanonicalValue | undefined;
}

/** SHA-256 of a line as it stands, without its line break. */
export function hashOfLine(line: string | Uint8Array): string {
  return createHash("sha256").update(line).digest("hex");
}

/** The line that follows `previous` (undefined: none), and its place. */
export function nextLine(
  entry: AuditEntry,
  at: string,
  previous: ChainHead | undefined,
): { readonly line: string; readonly head: ChainHead } {
  const place = (previous?.seq ?? 0) + 1;
  const line = canonicalJson({ ...entry, v: 1, seq: place, at, prev: previous?.hash ?? NO_HASH });
  return { line, head: { seq: place, hash: hashOfLine(line) } };
}

/** The line that `bytes` are; undefined where they are none: not valid, or not in the canonical form. */
export function parseLine(bytes: Uint8Array): AuditLine | undefined {
  if (bytes.length > MAX_LINE_BYTES) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    const parsed = v.safeParse(auditLine, value);
    if (!parsed.success) return undefined;
    return canonicalJson(value as CanonicalValue) === text ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
