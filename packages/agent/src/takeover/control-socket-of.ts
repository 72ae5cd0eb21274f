import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, dirname } from "node:path";

/** The folders of control sockets are called so; see `runDirectories`. */
const RUN_FOLDER = /^(?:farside(?:-\d+)?|run)$/;

/** The control socket that the process `pid` listens on, and the session that its name is made of; undefined where there is none. */
export async function controlSocketOf(pid: number): Promise<{ path: string; of: string } | undefined> {
  const inodes = await listeningInodes(pid);
  if (inodes.size === 0) return undefined;
  const table = await readFile("/proc/net/unix", "utf8").catch(() => "");
  for (const line of table.split("\n")) {
    // Num RefCount Protocol Flags Type St Inode Path; a path may hold spaces.
    const [, flags, inode = "", path = ""] = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? [];
    const isListening = flags === "00010000";
    if (!isListening || !inodes.has(inode) || !path.endsWith(".sock")) continue;
    if (RUN_FOLDER.test(basename(dirname(path)))) return { path, of: basename(path, ".sock") };
  }
  return undefined;
}

async function listeningInodes(pid: number): Promise<ReadonlySet<string>> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
  return new Set(links.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}
