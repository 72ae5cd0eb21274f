import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "farside-lab-";

/** Makes the folder of a new lab and records its owner (this process), so that a later lab can remove it if we can't. */
export function makeLabFolder(): string {
  sweepLabFolders();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(join(folder, "owner"), ownerOf(process.pid));
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
      const owner = readFileSync(join(folder, "owner"), "utf8");
      // Not yet written, or of processes that can't be seen from here: a suite in a PID namespace of its own.
      if (!owner.endsWith(` ${pidNamespace()}\n`)) continue;
      if (ownerOf(Number.parseInt(owner, 10)) !== owner) removeLabFolder(folder);
    } catch {
      // Just being made, or somebody else's; or nobody can tell.
    }
  }
}

/** What tells a process from all others that there were: its pid, its start time, and where that pid counts. */
function ownerOf(pid: number): string {
  return `${pid} ${startTimeOf(pid)} ${pidNamespace()}\n`;
}

function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}

/** In clock ticks. Throws where it can't be read for another reason than that there is no such process. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch (error) {
    if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return "gone";
  }
}
