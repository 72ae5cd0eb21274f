import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, rmdir } from "node:fs/promises";
import path from "node:path";
import { CodedError } from "@farside/protocol";
import { pathExists } from "../path-exists.ts";

/** sun_path of Linux, without its NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
/** A session's name, `.sock`, and what a future version may need. */
const LONGEST_NAME_BYTES = 72;
const OPEN_ATTEMPTS = 10;
const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface RunDirectoryFacts {
  readonly uid: number;
  readonly home: string | undefined;
  /** `XDG_RUNTIME_DIR` of the environment. */
  readonly runtimeFolder: string | undefined;
  /** Whether that folder stays when the user's last login ends. */
  readonly isRuntimeFolderLasting: boolean;
}

/** Where control sockets may be, the best first. All are looked at when somebody asks which agents there are. */
export function runDirectories({ uid, home, runtimeFolder }: RunDirectoryFacts): string[] {
  const absolute = (folder: string | undefined) => folder !== undefined && path.isAbsolute(folder);
  return [
    ...(absolute(runtimeFolder) ? [`${runtimeFolder}/farside`] : []),
    `/tmp/farside-${uid}`,
    ...(absolute(home) ? [`${home}/.local/state/farside/run`] : []),
  ];
}

/**
 * A private folder for control sockets: ours, of mode 0700, no symbolic link, in a folder where nobody else can put
 * another in its place. The first that can be had; one that somebody else made there is passed over. Rejects with
 * `agent.unsupported-host` where there is none.
 */
export async function openRunDirectory(facts: RunDirectoryFacts): Promise<string> {
  const refused: string[] = [];
  for (const folder of runDirectories(facts)) {
    const isRuntime = facts.runtimeFolder !== undefined && folder.startsWith(`${facts.runtimeFolder}/`);
    try {
      if (isRuntime && !facts.isRuntimeFolderLasting) throw new Error("it goes with the last login");
      if (Buffer.byteLength(folder) + 1 + LONGEST_NAME_BYTES > MAX_SOCKET_PATH_BYTES)
        throw new Error("its path is too long for a socket");
      await makePrivate(folder, facts.uid);
      return folder;
    } catch (error) {
      refused.push(`${folder}: ${(error as Error).message}`);
    }
  }
  throw new CodedError(
    "agent.unsupported-host",
    `making a private folder for the agent's control socket: none can be had (${refused.join("; ")})`,
    { leg: "jump", hint: "The login needs a folder of its own, as /tmp or its home can hold." },
  );
}

/** Removes `folder` if nothing is in it. Never rejects. */
export async function leaveRunDirectory(folder: string): Promise<void> {
  await rmdir(folder).catch(() => undefined);
}

/** Whether `folder` is a private one of `uid`, now. Rejects with why not. */
export async function checkPrivate(folder: string, uid: number): Promise<void> {
  await checkParent(path.dirname(folder), uid);
  const handle = await open(folder, OPEN_FOLDER);
  try {
    await checkOwn(handle, uid);
  } finally {
    await handle.close();
  }
}

/** Makes `folder` where it is not there, and checks that it is private to `uid`. Rejects with why it can't be. */
export async function makePrivate(folder: string, uid: number): Promise<void> {
  const parent = path.dirname(folder);
  // Below the home, the usual folders may not be there yet.
  if (!(await pathExists(parent)) && !parent.startsWith("/tmp"))
    await mkdir(parent, { recursive: true, mode: 0o700 });
  await checkParent(parent, uid);
  const handle = await openMade(folder);
  try {
    await checkOwn(handle, uid);
    // A umask or a hand may have made it narrower or readable.
    await handle.chmod(0o700);
  } finally {
    await handle.close();
  }
}

async function openMade(folder: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt += 1) {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    try {
      return await open(folder, OPEN_FOLDER);
    } catch (error) {
      // Another agent that ends may just have removed it, empty as it was.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === OPEN_ATTEMPTS) throw error;
    }
  }
}

async function checkOwn(handle: FileHandle, uid: number): Promise<void> {
  const { uid: owner, mode } = await handle.stat();
  if (owner !== uid) throw new Error(`it is of uid ${owner}`);
  if ((mode & 0o022) !== 0) throw new Error("others may write to it");
}

/** In a folder that others may write to, they could move ours away, unless it is sticky. */
async function checkParent(parent: string, uid: number): Promise<void> {
  const { uid: owner, mode } = await lstat(parent);
  if (owner !== uid && owner !== 0) throw new Error(`the folder above it is of uid ${owner}`);
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)
    throw new Error("others may write to the folder above it");
}
