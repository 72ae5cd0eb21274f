import { createReadStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { CodedError } from "../errors.ts";
import { AuditFiles } from "./audit-files.ts";
import type { ChainHead } from "./audit-line.ts";
import { LineSplitter } from "./line-splitter.ts";
import { ChainCheck, type ChainReport } from "./verify-chain.ts";

export interface AuditReport extends ChainReport {
  /** The files that were read, oldest first. */
  readonly files: readonly string[];
  /** What nobody can tell from these files alone, in plain words. */
  readonly unproven: readonly string[];
}

/**
 * Reads the log in `folder` and says what in it is not as it was written, and what that does not prove. `known` are places
 * that were kept elsewhere. Rejects with `config.invalid` where there is no log, or it can't be read.
 */
export async function verifyAudit(folder: string, known: readonly ChainHead[] = []): Promise<AuditReport> {
  const files = new AuditFiles(folder);
  const head = await files.readHead();
  const paths = await files.listOlder();
  if (await isThere(files.current)) paths.push(files.current);
  if (paths.length === 0 && head === undefined) {
    throw new CodedError("config.invalid", `there is no audit log in ${folder}`, {
      hint: "It begins with the first session.",
    });
  }
  const report = await verifyLog(chunksOf(paths), { head, known });
  return { ...report, files: paths };
}

/** What `verifyAudit` is told of a log whose bytes come from elsewhere, oldest file first. `head`: what its writer has kept of the newest line. */
export async function verifyLog(
  chunks: AsyncIterable<Uint8Array>,
  { head, known }: { readonly head: ChainHead | undefined; readonly known: readonly ChainHead[] },
): Promise<Omit<AuditReport, "files">> {
  const check = new ChainCheck(head === undefined ? known : [...known, head]);
  const lines = new LineSplitter((line) => check.push(line));
  for await (const chunk of chunks) lines.push(chunk);
  const report = check.end({ isWhole: lines.end() });
  return { ...report, unproven: unprovenBy(report, { hasHead: head !== undefined, known }) };
}

function unprovenBy(
  { last }: ChainReport,
  { hasHead, known }: { hasHead: boolean; known: readonly ChainHead[] },
): string[] {
  const kept = Math.max(0, ...known.map(({ seq }) => seq));
  const from = kept + 1;
  const unproven: string[] = [];
  if ((last?.seq ?? 0) >= from) {
    const which = kept === 0 ? "the log" : `what is behind line ${kept}`;
    unproven.push(
      `Whoever may write to these files can write ${which} anew with hashes that fit. Only a place that is kept where they can't reach it shows that: keep ${last?.seq}:${last?.hash}, and give it with --head.`,
    );
  }
  if (!hasHead && kept < (last?.seq ?? 0) + 1)
    unproven.push(
      `Whether lines behind line ${last?.seq ?? 0} were cut off can't be told: audit.head is missing.`,
    );
  return unproven;
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}

async function* chunksOf(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    try {
      yield* createReadStream(path) as AsyncIterable<Buffer>;
    } catch (error) {
      throw new CodedError("config.invalid", `cannot read ${path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}
