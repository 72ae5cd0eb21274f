import { lstat, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { leaveRunDirectory, runDirectories } from "../control/run-directory.ts";
import { removeStaleSocket } from "../takeover/stale-socket.ts";

/** The logs of agents, beside their sockets; see `LogFile`. */
const LOG = /\.log(?:\.1)?$/;

export interface StaleSocketsOptions {
  readonly uid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Removes the control sockets of this user that nobody answers on, the logs of their agents, and their folders once they are empty. Resolves with what is still there. */
export async function removeStaleSockets({ uid, environment }: StaleSocketsOptions): Promise<string[]> {
  const left: string[] = [];
  const facts = { uid, home: environment["HOME"], runtimeFolder: environment["XDG_RUNTIME_DIR"] };
  for (const folder of runDirectories({ ...facts, isRuntimeFolderLasting: true })) {
    const owner = await lstat(folder).catch(() => undefined);
    if (owner?.isDirectory() !== true || owner.uid !== uid) continue;
    for (const name of await readdir(folder).catch(() => [])) {
      if (LOG.test(name)) continue;
      const file = path.join(folder, name);
      const found = await removeStaleSocket(file, uid);
      if (found === "live" || found === "foreign") left.push(file);
    }
    left.push(...(await removeStaleLogs(folder)));
    await leaveRunDirectory(folder);
  }
  return left;
}

/** Removes logs whose agent has no socket any more; resolves with those that are still there. */
async function removeStaleLogs(folder: string): Promise<string[]> {
  const names: string[] = await readdir(folder).catch(() => []);
  const left: string[] = [];
  for (const name of names.filter((each) => LOG.test(each))) {
    const file = path.join(folder, name);
    const isLive = names.includes(name.replace(LOG, ".sock"));
    if (!isLive) await rm(file, { force: true }).catch(() => undefined);
    if ((await lstat(file).catch(() => undefined)) !== undefined) left.push(file);
  }
  return left;
}
