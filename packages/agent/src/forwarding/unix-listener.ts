import { closeSync, lstatSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { type BindAddress, CodedError } from "@farside/protocol";
import { holderHint } from "./bind-failure.ts";
import { detourFolder, detourOf } from "./detour.ts";
import type { Listener, ListenerOptions } from "./listener.ts";
import { descriptorOf } from "./server-descriptor.ts";
import { holderOfUnixSocket } from "./socket-holder.ts";

const BACKLOG = 4096;
/** Everything but the owner's reading and writing. */
const OWNER_ONLY_UMASK = 0o177;
/** sun_path of Linux, with its NUL. */
const MAX_PATH_BYTES = 107;

type UnixBind = Extract<BindAddress, { kind: "unix" }>;

interface FileId {
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * Listens on a socket of mode 0600 at `bind.path`; it is never wider open, not even for a moment. Nothing that is there
 * already is touched. Closing removes the socket if it still is ours. Rejects with `forward.port-in-use` or
 * `forward.bind-refused`.
 */
export async function openUnixListener(bind: UnixBind, options: ListenerOptions): Promise<Listener> {
  checkPath(bind.path);
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.on("connection", (socket) => options.onConnection(socket, "unix"));
  let detour: string | undefined;
  try {
    detour = options.isHandedOn === true ? makeDetour(bind.path) : undefined;
    const listening = listenPrivately(server, detour ?? bind.path);
    // It is bound by now; another listener in that folder wants the same name.
    if (detour !== undefined) removeDetour(bind.path);
    await listening;
  } catch (error) {
    throw await unixBindFailure(bind.path, error as NodeJS.ErrnoException);
  }
  return listenerOf(server, bind, { ...options, unlinks: detour === undefined ? "its path" : "a detour" });
}

/** Goes on with a socket that another process listens on; from then on it is this one that removes its path. */
export async function adoptUnixListener(
  bind: UnixBind,
  fd: number,
  options: ListenerOptions,
): Promise<Listener> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.on("connection", (socket) => options.onConnection(socket, "unix"));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return listenerOf(server, bind, { ...options, unlinks: "nothing" });
}

/** What Node.js unlinks when the server closes, whoever's it is by then: what it was bound to. */
type Unlinks = "its path" | "a detour" | "nothing";

function listenerOf(
  server: net.Server,
  bind: UnixBind,
  { onError, unlinks }: Pick<ListenerOptions, "onError"> & { readonly unlinks: Unlinks },
): Listener {
  server.on("error", onError);
  const ours = fileIdOf(bind.path);
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closeOurs(server, bind.path, { ours, unlinks });
    return closing;
  };
  const release = () => {
    closing ??= releaseOurs(server, bind.path, unlinks);
    return closing;
  };
  return {
    ...{ bound: [bind], isLoopback: false, descriptors: [descriptorOf(server)] },
    ...{ close, release, [Symbol.asyncDispose]: close },
  };
}

/** A path too long for a detour is another's for that moment: it would be unlinked. */
async function releaseOurs(server: net.Server, file: string, unlinks: Unlinks): Promise<void> {
  const aside = `${file}.${process.pid}.farside`;
  if (unlinks === "its path") renameSync(file, aside);
  // Where it can't be closed, it goes on beside the other until this process ends.
  if (unlinks === "a detour") closeBehindDetour(server, file);
  else server.close();
  if (unlinks === "its path") renameSync(aside, file);
}

/**
 * Closes a server that was bound to a detour. In its folder's place stands a file meanwhile, through which no path leads: in a folder where
 * others may write, a link of theirs would have Node.js unlink what has the socket's name elsewhere. False, and not closed, where something is there already.
 */
function closeBehindDetour(server: net.Server, file: string): boolean {
  const folder = detourFolder(file);
  let isBlocked = true;
  try {
    closeSync(openSync(folder, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return false;
    isBlocked = false;
  }
  server.close();
  if (isBlocked) rmSync(folder, { force: true });
  return true;
}

/**
 * Another way to `file`, which leads nowhere once its folder is removed: to be listened on, so that Node.js has nothing to unlink when it closes the
 * server, and the name stays without a gap. Undefined where it would be too long, or something has its folder's name.
 */
function makeDetour(file: string): string | undefined {
  const detour = detourOf(file);
  if (Buffer.byteLength(detour) > MAX_PATH_BYTES) return undefined;
  if (fileIdOf(file) !== undefined) throw Object.assign(new Error("it is there"), { code: "EADDRINUSE" });
  try {
    mkdirSync(detourFolder(file), { mode: 0o700 });
    return detour;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}

function removeDetour(file: string): void {
  try {
    rmdirSync(detourFolder(file));
  } catch {
    // Somebody has put something there, or taken it away: it is theirs.
  }
}

/** Throws `forward.bind-refused` for what can't be a socket's path. */
export function checkPath(file: string): void {
  const why = !path.isAbsolute(file)
    ? "the path is not absolute"
    : file.includes("\0")
      ? "the path holds a NUL"
      : Buffer.byteLength(file) > MAX_PATH_BYTES
        ? `the path is longer than ${MAX_PATH_BYTES} bytes`
        : undefined;
  if (why === undefined) return;
  throw new CodedError("forward.bind-refused", `${attemptOn(file)}: ${why}`, {
    leg: "bind",
    hint: "Give an absolute path of the jump host.",
  });
}

function listenPrivately(server: net.Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // The bind happens within the call, so nothing else of this process runs under this umask.
    const umask = process.umask(OWNER_ONLY_UMASK);
    try {
      server.listen({ path: file, backlog: BACKLOG, exclusive: true }, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** What must not be unlinked keeps the descriptor until the process ends, cut off from the path. */
async function closeOurs(
  server: net.Server,
  file: string,
  { ours, unlinks }: { readonly ours: FileId | undefined; readonly unlinks: Unlinks },
): Promise<void> {
  const now = fileIdOf(file);
  const isReplaced = now !== undefined && (now.device !== ours?.device || now.inode !== ours.inode);
  if (!closeSafely(server, file, { isReplaced, unlinks })) {
    server.removeAllListeners("connection");
    server.on("connection", (socket) => socket.destroy());
    server.unref();
  }
  if (!isReplaced) rmSync(file, { force: true });
}

/** Unless something would be unlinked that is not ours. */
function closeSafely(
  server: net.Server,
  file: string,
  { isReplaced, unlinks }: { readonly isReplaced: boolean; readonly unlinks: Unlinks },
): boolean {
  if (unlinks === "a detour") return closeBehindDetour(server, file);
  if (unlinks === "its path" && isReplaced) return false;
  server.close();
  return true;
}

function fileIdOf(file: string): FileId | undefined {
  try {
    const { dev, ino } = lstatSync(file, { bigint: true });
    return { device: dev, inode: ino };
  } catch {
    return undefined;
  }
}

/** What of a failed bind at `file` the operator can act on. */
export async function unixBindFailure(file: string, error: NodeJS.ErrnoException): Promise<CodedError> {
  if (error.code === "EADDRINUSE") {
    const holder = await holderOfUnixSocket(file);
    const why = holder === undefined ? "something is at that path already" : `${holder} listens on it`;
    const hint =
      holder === undefined
        ? "It is no socket, or not this user's: remove it, or take another path."
        : holderHint(holder);
    return new CodedError("forward.port-in-use", `${attemptOn(file)}: ${why}`, {
      leg: "bind",
      hint,
      cause: error,
    });
  }
  return new CodedError("forward.bind-refused", `${attemptOn(file)}: ${error.code ?? error.message}`, {
    leg: "bind",
    hint: "The folder must exist and be writable by the login's user.",
    cause: error,
  });
}

function attemptOn(file: string): string {
  return `cannot listen on the socket ${file} of the jump host`;
}
