import { lstat, unlink } from "node:fs/promises";
import net from "node:net";

/** A live listener takes a connection at once. */
const PING_TIMEOUT_MS = 1_000;

/**
 * What became of a unix socket's path: `free`, nothing was there; `removed`, a socket that nobody listens on; `live`, somebody does; `foreign`, it is no
 * socket, or another user's, or can't be removed.
 */
export type StaleSocket = "free" | "removed" | "live" | "foreign";

/** Removes the unix socket at `path` if it is one of the user `uid` that nobody listens on. */
export async function removeStaleSocket(path: string, uid: number): Promise<StaleSocket> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return "free";
  if (!found.isSocket() || found.uid !== uid) return "foreign";
  if (await answers(path)) return "live";
  const now = await lstat(path).catch(() => undefined);
  if (now === undefined) return "free";
  if (now.ino !== found.ino || now.dev !== found.dev) return "live";
  return unlink(path).then(
    () => "removed",
    () => "foreign",
  );
}

/** Whether somebody listens on the unix socket at `path`: one that is stuck does, too. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const settle = (isLive: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isLive);
    };
    const timer = setTimeout(() => settle(true), PING_TIMEOUT_MS);
    socket
      .once("connect", () => settle(true))
      .once("error", ({ code }: NodeJS.ErrnoException) =>
        settle(code !== "ECONNREFUSED" && code !== "ENOENT"),
      );
  });
}
