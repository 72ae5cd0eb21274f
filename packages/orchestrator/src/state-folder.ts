import { chmod, lstat, mkdir, readlink, realpath } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { CodedError } from "@farside/protocol";

/** `$XDG_STATE_HOME/farside`, else `~/.local/state/farside`. */
export function stateFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const state = environment["XDG_STATE_HOME"];
  // A relative one is to be ignored (XDG Base Directory Specification).
  const base = state !== undefined && isAbsolute(state) ? state : join(homedir(), ".local/state");
  return join(base, "farside");
}

/**
 * Makes the state folder `root` where it is missing, and private. One that somebody else has, or could put another in the place of, is
 * `config.invalid`: they could put links there that are written through, and records that have processes of ours ended. So is one that
 * can't be made.
 */
export async function makeStateFolder(root: string): Promise<void> {
  try {
    await mkdir(dirname(root), { recursive: true, mode: 0o700 });
    await checkAbove(root);
    await mkdir(root, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const { path, mode } = await checkFolder(root);
    if ((mode & 0o022) !== 0) await chmod(path, 0o700);
  } catch (error) {
    throw cannotKeep(root, error);
  }
}

/** `config.invalid` for a session's state that can't be kept at `path`. */
export function cannotKeep(path: string, error: unknown): CodedError {
  const folder =
    error instanceof NotOurs ? "a folder of your own" : "a folder that can be written and has room";
  return new CodedError(
    "config.invalid",
    `cannot keep the session's state in ${path}: ${(error as Error).message}`,
    { hint: `Set XDG_STATE_HOME to ${folder}.`, cause: error },
  );
}

/** Whether the state folder `root` is there, and one that `makeStateFolder` would take. */
export async function isStateFolder(root: string): Promise<boolean> {
  return checkFolder(root).then(
    () => true,
    () => false,
  );
}

/** Whether `folder` is one, no link, and this user's own. */
export async function isOwnFolder(folder: string): Promise<boolean> {
  const facts = await lstat(folder).catch(() => undefined);
  return facts?.isDirectory() === true && facts.uid === ownUid(facts.uid);
}

/** Why a folder is not to be trusted. */
class NotOurs extends Error {}

/** What `root` is, behind links that nobody else can have made or can change: people link ~/.local/state. */
async function checkFolder(root: string): Promise<{ readonly path: string; readonly mode: number }> {
  const path = await followed(root);
  await checkAbove(path);
  const facts = await lstat(path);
  if (!facts.isDirectory()) throw new NotOurs("it is no folder");
  if (facts.uid !== ownUid(facts.uid)) throw new NotOurs(`it is of uid ${facts.uid}`);
  return { path, mode: facts.mode };
}

/** In a folder that others may write to, they could put another in our place, unless it is sticky. */
async function checkAbove(path: string): Promise<void> {
  const folder = await followed(dirname(path));
  const { uid, gid, mode } = await lstat(folder);
  if (!isTrusted(uid)) throw new NotOurs(`the folder above it, ${folder}, is of uid ${uid}`);
  const others = isPrivateGroup(gid) ? 0o002 : 0o022;
  if ((mode & others) !== 0 && (mode & 0o1000) === 0)
    throw new NotOurs(`others may write to the folder above it, ${folder}`);
}

/** What is behind the links at the end of `path`. Rejects where somebody else could have put one there. */
async function followed(path: string): Promise<string> {
  // Rejects where they lead nowhere, or in a circle.
  await realpath(path);
  let at = path;
  for (;;) {
    const facts = await lstat(at);
    if (!facts.isSymbolicLink()) return at;
    if (!isTrusted(facts.uid)) throw new NotOurs(`${at} is a link of uid ${facts.uid}`);
    await checkAbove(at);
    // What the link says counts from where it really is: "..", too.
    at = resolve(await realpath(dirname(at)), await readlink(at));
  }
}

function isTrusted(uid: number): boolean {
  return uid === 0 || uid === ownUid(uid);
}

/** Many systems give each user a group of their own, of the same number, and a umask of 002: nobody else is in it. */
function isPrivateGroup(gid: number): boolean {
  return gid !== 0 && gid === process.getgid?.() && gid === process.getuid?.();
}

/** Where there are no user ids, `otherwise`. */
function ownUid(otherwise: number): number {
  return process.getuid?.() ?? otherwise;
}
