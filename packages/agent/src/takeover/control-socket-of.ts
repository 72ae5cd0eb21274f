import { readdir, readlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { listeningUnixSockets } from "../forwarding/proc-net-unix.ts";

/** The folders of control sockets are called so; see `runDirectories`. */
const RUN_FOLDER = /^(?:farside(?:-\d+)?|run)$/;

/** The control socket that the process `pid` listens on, and the session that its name is made of; undefined where there is none. */
export async function controlSocketOf(pid: number): Promise<{ path: string; of: string } | undefined> {
  const inodes = await listeningInodes(pid);
  if (inodes.size === 0) return undefined;
  for (const { inode, path } of await listeningUnixSockets()) {
    if (!inodes.has(inode) || !path.endsWith(".sock")) continue;
    if (RUN_FOLDER.test(basename(dirname(path)))) return { path, of: basename(path, ".sock") };
  }
  return undefined;
}

async function listeningInodes(pid: number): Promise<ReadonlySet<number>> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
  const inodes = links.map((target) => Number(/^socket:\[(\d+)\]$/.exec(target)?.[1]));
  return new Set(inodes.filter((inode) => !Number.isNaN(inode)));
}
