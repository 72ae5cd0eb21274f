import { constants, lstatSync } from "node:fs";
import { access } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import type { BindAddress } from "@farside/protocol";
import { bindFailure, firstUnprivilegedPort } from "../forwarding/bind-failure.ts";
import { isHeld } from "../forwarding/socket-holder.ts";
import { addressesToBind } from "../forwarding/tcp-listener.ts";
import { checkPath, unixBindFailure } from "../forwarding/unix-listener.ts";

const EVERY_ADDRESS: readonly string[] = ["0.0.0.0", "::"];

/**
 * Whether a listener could be opened at `bind`, as far as that can be known without one: nobody can connect meanwhile. Rejects
 * with what opening it would fail with, `forward.port-in-use` or `forward.bind-refused`.
 */
export async function probeBindAddress(bind: BindAddress): Promise<void> {
  if (bind.kind === "unix") return probeSocketPath(bind.path);
  const all = await addressesToBind(bind);
  const own = all.filter(isOwn);
  const [first = "127.0.0.1"] = all;
  // Of a pair, one may be missing: a host without IPv6.
  if (own.length === 0) throw await bindFailure(first, bind.port, failure("EADDRNOTAVAIL"));
  if (bind.port === 0) return;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && bind.port < (await firstUnprivilegedPort()))
    throw await bindFailure(first, bind.port, failure("EACCES"));
  for (const address of own) {
    if (await isHeld(address, bind.port)) throw await bindFailure(address, bind.port, failure("EADDRINUSE"));
  }
}

async function probeSocketPath(path: string): Promise<void> {
  checkPath(path);
  // Also a link that leads nowhere is something that is there.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    throw await unixBindFailure(path, failure("EADDRINUSE"));
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw await unixBindFailure(path, error as NodeJS.ErrnoException);
  }
}

function isOwn(address: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  if (EVERY_ADDRESS.includes(address)) {
    const family = address === "::" ? "IPv6" : "IPv4";
    return own.some((entry) => entry.family === family);
  }
  // All of 127.0.0.0/8 is the host's own.
  if (address.startsWith("127.")) return true;
  return own.some((entry) => entry.address === address.replace(/%.*$/, ""));
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
