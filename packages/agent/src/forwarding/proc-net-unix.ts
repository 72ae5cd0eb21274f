import { readProcFile } from "./read-proc-file.ts";

/** A unix socket that somebody listens on. */
export interface ListeningUnixSocket {
  readonly inode: number;
  /** May hold spaces. */
  readonly path: string;
}

/** `__SO_ACCEPTCON`: connections that were made through a path have it in their rows, too. */
const LISTENS = "00010000";

/** Those of this network namespace that have a path, from /proc/net/unix (proc(5)). Empty where there is no such table. Never rejects. */
export async function listeningUnixSockets(): Promise<ListeningUnixSocket[]> {
  const table = await readProcFile("/proc/net/unix").catch(() => Buffer.alloc(0));
  return table
    .toString()
    .split("\n")
    .flatMap((line) => {
      // Num RefCount Protocol Flags Type St Inode Path
      const [, flags, inode, path] = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? [];
      return flags === LISTENS && path !== undefined ? [{ inode: Number(inode), path }] : [];
    });
}
