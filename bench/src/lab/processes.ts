/** What the kernel says about the processes of a forwarder. Pids are the machine's. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import type { Host } from "@farside/test/lab/host";
import { machinePid } from "@farside/test/support/machine-pid";

/** The process that listens on a TCP port of a host; undefined where none does. */
export async function listenerPid(host: Host, port: number): Promise<number | undefined> {
  const line = await host.run(["ss", "-Hltnp", "sport", "=", `:${port}`]);
  const inner = /pid=(\d+)/.exec(line)?.[1];
  return inner === undefined ? undefined : machinePid(host, Number(inner));
}

/** A process and everything below it. */
export async function processTree(root: number): Promise<number[]> {
  const found = [root];
  for (const pid of found) {
    try {
      for (const task of await readdir(`/proc/${pid}/task`)) {
        const children = await readFile(`/proc/${pid}/task/${task}/children`, "utf8");
        found.push(...children.split(" ").filter(Boolean).map(Number));
      }
    } catch {
      // It ended while it was being looked at.
    }
  }
  return found;
}

/** Time on a CPU so far, in seconds, of all threads. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let nanoseconds = 0;
  for (const pid of pids) {
    const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
    for (const task of tasks) {
      const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0");
      nanoseconds += Number(text.split(" ")[0]);
    }
  }
  return nanoseconds / 1e9;
}

/** From now on peakMegabytes() means what comes. */
export async function resetPeak(pids: readonly number[]): Promise<void> {
  const PEAK_RSS = "5";
  for (const pid of pids) await writeFile(`/proc/${pid}/clear_refs`, PEAK_RSS).catch(() => {});
}

/** Most memory at a time since resetPeak(). Of several processes the sum of what each has at present, shared pages shared. */
export async function peakMegabytes(pids: readonly number[]): Promise<number> {
  if (pids.length !== 1) return memoryMegabytes(pids);
  return (await kilobytes(pids[0] ?? 0, "status", "VmHWM")) / 1000;
}

/** Memory at present: RSS of one process, the sum of PSS of several. */
export async function memoryMegabytes(pids: readonly number[]): Promise<number> {
  if (pids.length === 1) return (await kilobytes(pids[0] ?? 0, "status", "VmRSS")) / 1000;
  const each = await Promise.all(pids.map((pid) => kilobytes(pid, "smaps_rollup", "Pss")));
  return each.reduce((sum, one) => sum + one, 0) / 1000;
}

async function kilobytes(pid: number, file: string, field: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1.024;
}
