import { lstat, readdir } from "node:fs/promises";
import path from "node:path";
import { leaveRunDirectory, runDirectories } from "../control/run-directory.ts";
import { removeStaleSocket } from "../takeover/stale-socket.ts";

export interface StaleSocketsOptions {
  readonly uid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Removes the control sockets of this user that nobody answers on, and their folders once they are empty. Resolves with what is still there. */
export async function removeStaleSockets({ uid, environment }: StaleSocketsOptions): Promise<string[]> {
  const left: string[] = [];
  const facts = { uid, home: environment["HOME"], runtimeFolder: environment["XDG_RUNTIME_DIR"] };
  for (const folder of runDirectories({ ...facts, isRuntimeFolderLasting: true })) {
    const owner = await lstat(folder).catch(() => undefined);
    if (owner?.isDirectory() !== true || owner.uid !== uid) continue;
    for (const name of await readdir(folder).catch(() => [])) {
      const file = path.join(folder, name);
      const found = await removeStaleSocket(file, uid);
      if (found === "live" || found === "foreign") left.push(file);
    }
    await leaveRunDirectory(folder);
  }
  return left;
}
