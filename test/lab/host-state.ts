/** What is on a lab host at a moment: processes, listeners, files. Two of these tell what a program left behind. */

import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { listenersOf } from "./proc-net.ts";

export interface HostState {
  /** Key: pid and start time; value: `pid user-id command`. */
  readonly processes: ReadonlyMap<string, string>;
  readonly listeners: readonly string[];
  /** Key: path on the host; value: what changes when it is written to. */
  readonly files: ReadonlyMap<string, string>;
}

export interface Residue {
  readonly processes: readonly string[];
  readonly listeners: readonly string[];
  readonly files: readonly string[];
}

export interface HostRoots {
  /** Pid of the host's init as the machine sees it. */
  readonly initPid: number;
  /** Folder with every file that was changed on the host. */
  readonly upper: string;
  /** The tree that the host is laid over. */
  readonly lower: string;
  /** Folders of the machine that the host sees too. */
  readonly foreign: readonly string[];
}

/** What sshd and the login machinery log by themselves, and the lab's own programs. */
const IGNORED_FILES = /^\/var\/log\/|^\/root\/\.bash_history$|^\/opt\/lab(\/|$)/;

export async function stateOf(roots: HostRoots): Promise<HostState> {
  const [processes, listeners] = await Promise.all([processesOf(roots.initPid), listenersOf(roots.initPid)]);
  return { processes, listeners, files: filesOf(roots) };
}

/** What is in `now` and was not, or not so, in `before`. */
export function difference(before: HostState, now: HostState): Residue {
  const processes = [...now.processes].filter(([key]) => !before.processes.has(key)).map(([, text]) => text);
  const earlier = [...before.listeners];
  const listeners = now.listeners.filter((line) => {
    const index = earlier.indexOf(line);
    if (index >= 0) earlier.splice(index, 1);
    return index < 0;
  });
  const files = [...now.files]
    .filter(([path, mark]) => before.files.get(path) !== mark)
    .map(([path]) => path);
  return { processes, listeners, files: files.sort() };
}

/** Every process of the pid namespace whose init is `initPid`, but init itself and sshd's listening process. */
export async function processesOf(initPid: number): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const namespace = await readlink(`/proc/${initPid}/ns/pid`);
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== initPid);
  await Promise.all(
    pids.map(async (pid) => {
      try {
        if ((await readlink(`/proc/${pid}/ns/pid`)) !== namespace) return;
        const [stat, commandLine, status] = await Promise.all([
          readFile(`/proc/${pid}/stat`, "utf8"),
          readFile(`/proc/${pid}/cmdline`, "utf8"),
          readFile(`/proc/${pid}/status`, "utf8"),
        ]);
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (fields[0] === "Z") return;
        const command = commandLine.replaceAll("\0", " ").trim() || stat.slice(0, stat.lastIndexOf(")") + 1);
        if (isSshdListener(command)) return;
        const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? "?";
        found.set(`${pid}@${fields[19]}`, `${pid} uid ${uid} ${command}`);
      } catch {
        // It ended while it was being looked at.
      }
    }),
  );
  return found;
}

export function isSshdListener(command: string): boolean {
  return command.startsWith("sshd: ") && command.includes("[listener]");
}

/** Changed files: the overlay's upper layer, and everything in /run, /tmp, /dev and /root, which are file systems of the host's own. */
function filesOf(roots: HostRoots): Map<string, string> {
  const found = new Map<string, string>();
  walk(roots.upper, "", (path, mark, isFolder) => {
    // A folder that the lower tree has was only copied up; what counts is what is in it.
    const isCopy = isFolder && exists(join(roots.lower, path));
    if (!isCopy && !IGNORED_FILES.test(path)) found.set(path, mark);
    return true;
  });
  for (const folder of ["/run", "/tmp", "/dev", "/root"]) {
    walk(`/proc/${roots.initPid}/root${folder}`, folder, (path, mark) => {
      if (roots.foreign.includes(path)) return false;
      if (!path.startsWith("/dev/pts/")) found.set(path, mark);
      return true;
    });
  }
  return found;
}

/** Changed files of the host that hold `text`. */
export function filesWith(roots: HostRoots, text: string): string[] {
  const found: string[] = [];
  for (const path of filesOf(roots).keys()) {
    const place = `/proc/${roots.initPid}/root${path}`;
    try {
      if (lstatSync(place).isFile() && readFileSync(place).includes(text)) found.push(path);
    } catch {
      // It was removed while it was being looked at.
    }
  }
  return found;
}

/** Visits everything below `folder`; not what is below a path for which `visit` says false. */
function walk(
  folder: string,
  name: string,
  visit: (path: string, mark: string, isFolder: boolean) => boolean,
): void {
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = `${name}/${entry}`;
    try {
      const status = lstatSync(join(folder, entry));
      const isFolder = status.isDirectory();
      // A folder's own time changes with each entry; the entries are listed themselves.
      // A device's time is that of its last use by anybody on the machine, whose devices these are.
      const mark = status.isCharacterDevice()
        ? `device ${status.ino} ${status.rdev}`
        : `${status.ino} ${status.size} ${status.mtimeMs}`;
      const goesOn = visit(path, isFolder ? "folder" : mark, isFolder);
      if (isFolder && goesOn) walk(join(folder, entry), path, visit);
    } catch {
      // It was removed while it was being looked at.
    }
  }
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
