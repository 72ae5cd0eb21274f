import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * When the process `pid` of this machine started, as a text that differs from that of any other process which had or will have
 * this pid. Undefined where there is no such process.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; what follows it does not.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, start] = [fields[0], fields[19]];
    return state === "Z" || state === "X" ? undefined : start;
  } catch {
    return process.platform === "linux" ? undefined : startByPs(pid);
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], {
      timeout: 5_000,
    });
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether the very process that was recorded still runs. */
export async function isRunning({ pid, start }: { pid: number; start: string }): Promise<boolean> {
  return (await processStart(pid)) === start;
}
