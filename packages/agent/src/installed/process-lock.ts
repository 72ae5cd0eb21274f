import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isRunning, processStart } from "@farside/protocol/process-start";
import { replaceFile } from "./replace-file.ts";

/** A process, told from any other that has or had its pid. */
export interface LockHolder {
  readonly pid: number;
  readonly start: string;
}

/** The live process that holds the lock; undefined where it is free or its holder is gone. */
export async function lockHolder(file: string): Promise<LockHolder | undefined> {
  try {
    const { pid, start } = JSON.parse(await readFile(file, "utf8")) as Partial<LockHolder>;
    if (typeof pid !== "number" || pid < 1 || typeof start !== "string") return undefined;
    return (await isRunning({ pid, start })) ? { pid, start } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the lock for this process, unless another holds it. Whether it did: of those who try at the same time, one. */
export async function takeLock(file: string): Promise<boolean> {
  const own = `${file}.${process.pid}-${randomUUID()}`;
  try {
    // It appears with what it says: one that is still empty would look like nobody's.
    await writeFile(own, await lockText(), { flag: "wx", mode: 0o600 });
    return (await linked(own, file)) || (await replacedStale(own, file));
  } finally {
    await rm(own, { force: true });
  }
}

/** Puts `own` in the place of the lock of a process that is gone; a lock of its own lets one do so at a time. */
async function replacedStale(own: string, file: string): Promise<boolean> {
  const stale = await readFile(file, "utf8").catch(() => undefined);
  if (stale === undefined) return linked(own, file);
  if ((await lockHolder(file)) !== undefined) return false;
  const turn = `${file}.turn`;
  if (!(await takeLock(turn))) return false;
  try {
    if ((await readFile(file, "utf8").catch(() => undefined)) !== stale) return false;
    await rename(own, file);
    return true;
  } finally {
    await rm(turn, { force: true });
  }
}

/** Whether `file` is there now under the name `as`, which nothing had before. */
async function linked(file: string, as: string): Promise<boolean> {
  try {
    await link(file, as);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Makes this process the holder, whoever was: a successor takes over from a live one. */
export async function passLock(file: string): Promise<void> {
  await replaceFile(file, await lockText());
}

async function lockText(): Promise<string> {
  return JSON.stringify({ pid: process.pid, start: (await processStart(process.pid)) ?? "" });
}
