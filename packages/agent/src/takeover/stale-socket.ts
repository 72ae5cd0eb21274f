import { lstat, unlink } from "node:fs/promises";
import net from "node:net";

/** A live listener takes a connection at once. */
const PING_TIMEOUT_MS = 1_000;

/** Removes the unix socket at `path` if it is one of the user `uid` that nobody listens on; whether it did. */
export async function removeStaleSocket(path: string, uid: number): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket() || found.uid !== uid) return false;
  if (await answers(path)) return false;
  const now = await lstat(path).catch(() => undefined);
  if (now === undefined || now.ino !== found.ino || now.dev !== found.dev) return false;
  return unlink(path).then(
    () => true,
    () => false,
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
