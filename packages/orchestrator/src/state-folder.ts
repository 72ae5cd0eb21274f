import { chmod, lstat, mkdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { CodedError } from "@farside/protocol";

/** `$XDG_STATE_HOME/farside`, else `~/.local/state/farside`. */
export function stateFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const state = environment["XDG_STATE_HOME"];
  // A relative one is to be ignored (XDG Base Directory Specification).
  const base = state !== undefined && isAbsolute(state) ? state : join(homedir(), ".local/state");
  return join(base, "farside");
}

/**
 * Makes the state folder `root` where it is missing, and private. One that is somebody else's is `config.invalid`: they could put links
 * there that are written through, and records that have processes of ours ended.
 */
export async function makeStateFolder(root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(root);
  if (uid !== ownUid(uid)) {
    throw new CodedError(
      "config.invalid",
      `cannot keep the session's state in ${root}: it is of uid ${uid}`,
      {
        hint: "Set XDG_STATE_HOME to a folder of your own.",
      },
    );
  }
  if ((mode & 0o022) !== 0) await chmod(root, 0o700);
}

/** Whether `folder` is one, and this user's own. */
export async function isOwnFolder(folder: string): Promise<boolean> {
  const facts = await lstat(folder).catch(() => undefined);
  return facts?.isDirectory() === true && facts.uid === ownUid(facts.uid);
}

/** Where there are no user ids, `otherwise`. */
function ownUid(otherwise: number): number {
  return process.getuid?.() ?? otherwise;
}
