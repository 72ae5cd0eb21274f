import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "farside-lab-";

/** Makes the folder of a new lab and records its owner (this process), so that a later lab can remove it if we can't. */
export function makeLabFolder(): string {
  sweepLabFolders();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(join(folder, "owner"), `${process.pid} ${startTimeOf(process.pid)}\n`);
  mkdirSync(join(folder, "shared"), { mode: 0o755 });
  return folder;
}

/** Removes what a lab left in the machine's file system. Its mounts are its hosts' own and went with them. */
export function removeLabFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Removes folders of labs whose owner was killed. Hosts and mounts need no sweeping: they end with their owner. */
export function sweepLabFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    try {
      // Of one that is just being made the file is missing, or there and still empty.
      const [, pid, startTime] = /^(\d+) (\d+)\n$/.exec(readFileSync(join(folder, "owner"), "utf8")) ?? [];
      if (pid !== undefined && startTimeOf(Number(pid)) !== startTime) removeLabFolder(folder);
    } catch {
      // Just being made, or somebody else's.
    }
  }
}

/** Start time of a process in clock ticks; tells a reused pid from the process that had it. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "gone";
  }
}
