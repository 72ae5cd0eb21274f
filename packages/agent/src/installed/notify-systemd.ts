import { execFile } from "node:child_process";
import type { Log } from "../log.ts";

const NOTIFY_TIMEOUT_MS = 10_000;

/**
 * Tells the service manager by `systemd-notify`, for Node.js has no datagram sockets; does nothing where none is told of.
 * Resolves when it has been told, or could not be.
 */
export async function notifySystemd(states: readonly string[], log: Pick<Log, "warn">): Promise<void> {
  if (process.env["NOTIFY_SOCKET"] === undefined) return;
  await new Promise<void>((resolve) => {
    execFile("systemd-notify", [...states], { timeout: NOTIFY_TIMEOUT_MS }, (error) => {
      if (error !== null)
        log.warn("telling systemd failed", { states: states.join(" "), error: error.message });
      resolve();
    });
  });
}
