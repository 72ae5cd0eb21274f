import { randomBytes } from "node:crypto";
import { link, readFile, readlink, stat, unlink, writeFile } from "node:fs/promises";
import os from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { CodedError } from "../errors.ts";
import { processStart } from "../process-start.ts";

const POLL_MS = { first: 2, most: 50 } as const;
/** What is held by a process that can't be looked at (another machine or container, a shared home) is stale after this time. */
const FOREIGN_STALE_MS = 10_000;
/** A lock to break a lock to break a lock: more crashes in a row within microseconds each don't happen. */
const MAX_LEVEL = 2;

export interface FileLockOptions {
  /** How long to wait for others; default 5 s. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs `work` while no other process does so with the same `path`, on any file system that has hard links. The lock of a
 * process that has died is broken. Rejects with `timeout`, and with what `work` rejects with.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  { timeoutMs = 5_000 }: FileLockOptions = {},
): Promise<T> {
  const endsAt = performance.now() + timeoutMs;
  await acquire(path, 0, endsAt);
  try {
    return await work();
  } finally {
    await unlink(path).catch(() => {});
  }
}

/**
 * The lock is a file that says whose it is, made elsewhere and linked, so that it is never there without that. Only its
 * owner removes it, or whoever holds the lock one level up after its owner has died: so that nobody removes one that was taken anew.
 */
async function acquire(path: string, level: number, endsAt: number): Promise<void> {
  const mine = `${path}.${process.pid}.${randomBytes(6).toString("hex")}`;
  await writeFile(mine, JSON.stringify(await ownHolder()), { mode: 0o600, flag: "wx" });
  try {
    for (let pause: number = POLL_MS.first; ; pause = Math.min(pause * 1.5, POLL_MS.most)) {
      if (await linked(mine, path)) return;
      if (await isStale(path)) await breakLock(path, level, endsAt);
      else if (performance.now() > endsAt) throw tooLong(path);
      else await wait(pause);
    }
  } finally {
    await unlink(mine).catch(() => {});
  }
}

async function breakLock(path: string, level: number, endsAt: number): Promise<void> {
  if (level >= MAX_LEVEL) throw tooLong(path);
  const upper = `${path}.break`;
  await acquire(upper, level + 1, endsAt);
  try {
    if (await isStale(path)) await unlink(path).catch(() => {});
  } finally {
    await unlink(upper).catch(() => {});
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

interface Holder {
  readonly pid: number;
  readonly start: string;
  /** Where that pid means something. */
  readonly place: string;
}

let own: Promise<Holder> | undefined;

function ownHolder(): Promise<Holder> {
  own ??= Promise.all([processStart(process.pid), ownPlace()]).then(([start = "", place]) => ({
    ...{ pid: process.pid, start, place },
  }));
  return own;
}

/** This machine since its boot, and this namespace of pids. */
async function ownPlace(): Promise<string> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  return [os.hostname(), boot.trim(), namespace].join(" ");
}

async function isStale(path: string): Promise<boolean> {
  const [text, facts] = await Promise.all([
    readFile(path, "utf8").catch(() => undefined),
    stat(path).catch(() => undefined),
  ]);
  if (text === undefined || facts === undefined) return false;
  const isOld = Date.now() - facts.mtimeMs > FOREIGN_STALE_MS;
  const holder = parse(text);
  if (holder === undefined || holder.place !== (await ownPlace())) return isOld;
  return (await processStart(holder.pid)) !== holder.start;
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, start, place } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>;
    const isHolder = typeof pid === "number" && typeof start === "string" && typeof place === "string";
    return isHolder ? { pid, start, place } : undefined;
  } catch {
    return undefined;
  }
}

function tooLong(path: string): CodedError {
  return new CodedError("timeout", `waiting for the lock ${path} took too long`, {
    hint: "If no farside runs any more, remove it.",
  });
}
