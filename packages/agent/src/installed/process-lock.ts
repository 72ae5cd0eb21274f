import { readFile } from "node:fs/promises";
import { withFileLock } from "@farside/protocol/audit";
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

/**
 * Takes the lock for this process, unless another holds it. Whether it did: of those who try at the same time, one. Rejects with
 * `timeout` where others keep it from looking for 5 s.
 */
export async function takeLock(file: string): Promise<boolean> {
  return withFileLock(`${file}.turn`, async () => {
    if ((await lockHolder(file)) !== undefined) return false;
    await passLock(file);
    return true;
  });
}

/** Makes this process the holder, whoever was: a successor takes over from a live one. */
export async function passLock(file: string): Promise<void> {
  await replaceFile(file, await lockText());
}

async function lockText(): Promise<string> {
  return JSON.stringify({ pid: process.pid, start: (await processStart(process.pid)) ?? "" });
}
