import { readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { replaceFile } from "./replace-file.ts";

/** A process, told from any other that has or had its pid. */
export interface LockHolder {
  readonly pid: number;
  readonly start: string;
}

/** The live process that holds the lock; undefined where it is free or its holder is gone. */
export function lockHolder(file: string): LockHolder | undefined {
  try {
    const { pid, start } = JSON.parse(readFileSync(file, "utf8")) as Partial<LockHolder>;
    if (typeof pid !== "number" || pid < 1 || typeof start !== "string") return undefined;
    return processStart(pid) === start ? { pid, start } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the lock for this process, unless another holds it. Whether it did. */
export async function takeLock(file: string): Promise<boolean> {
  const text = lockText();
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (lockHolder(file) !== undefined) return false;
  await rm(file, { force: true });
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}

/** Makes this process the holder, whoever was: a successor takes over from a live one. */
export function passLock(file: string): Promise<void> {
  return replaceFile(file, lockText());
}

function lockText(): string {
  return JSON.stringify({ pid: process.pid, start: processStart(process.pid) ?? "" });
}

/** In clock ticks since the boot; undefined for a process that is gone or a zombie. */
function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
