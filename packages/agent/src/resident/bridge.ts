import { closeSync } from "node:fs";
import { lstat } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { encodePreamble } from "@farside/protocol";
import { checkPrivate } from "../control/run-directory.ts";

/** The agent has hung up: how long the other end may take to do the same before its link counts as dead. */
const HANG_UP_TIMEOUT_MS = 3_000;
/** How long the agent may take once our stdin has ended. */
const CLOSE_TIMEOUT_MS = 2_000;
const STDOUT_DESCRIPTOR = 1;

export interface BridgeOptions {
  /** Marks the preamble. */
  readonly nonce: string;
  /** Path of the control socket. Must be this user's, in a private folder: whoever answers there is taken for the agent. */
  readonly control: string;
  /** Of this process. */
  readonly uid: number;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** Ends this process's own SSH login, whose link is dead. */
  readonly endOwnLogin: () => Promise<unknown>;
}

/**
 * Joins the standard streams, an SSH channel's, with a control socket on this host, to the end of either; resolves then with the exit
 * code. Behind a dead link nobody ends stdin: then it ends the login that it runs in.
 */
export async function bridge({
  nonce,
  control,
  uid,
  stdin,
  stdout,
  endOwnLogin,
}: BridgeOptions): Promise<number> {
  try {
    await checkSocket(control, uid);
  } catch (error) {
    const status = encodePreamble(nonce, `no-agent:${(error as Error).message}`);
    await new Promise((resolve) => stdout.write(status, resolve));
    return 69;
  }
  const socket = net.connect({ path: control, allowHalfOpen: true });
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", ({ message }) => {
      stdout.write(encodePreamble(nonce, `no-agent:${message}`), () => resolve(false));
    });
  });
  if (!isConnected) return 69;
  socket.on("error", () => undefined);
  stdout.on("error", () => socket.destroy());
  stdout.write(encodePreamble(nonce, "bridge"));
  const hungUp = new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"]) stdin.once(event, () => resolve());
  });
  void hungUp.then(() => setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref());
  stdin.pipe(socket);
  socket.pipe(stdout);
  await new Promise<void>((resolve) => {
    for (const event of ["end", "close"]) socket.once(event, () => resolve());
  });
  await passEnd(stdout);
  stdin.unpipe(socket).resume();
  if (await settlesWithin(hungUp, HANG_UP_TIMEOUT_MS)) return 0;
  await endOwnLogin();
  return 0;
}

/** An agent may be gone, its folder too, and somebody else's in that place. */
async function checkSocket(control: string, uid: number): Promise<void> {
  await checkPrivate(path.dirname(control), uid);
  const found = await lstat(control);
  if (!found.isSocket() || found.uid !== uid) throw new Error(`${control} is no socket of this user`);
}

/** Lets the other end see the end of stdout while this process goes on: Node.js itself never closes it. */
async function passEnd(stdout: Writable): Promise<void> {
  await settlesWithin(new Promise<void>((resolve) => stdout.end(() => resolve())), CLOSE_TIMEOUT_MS);
  if (stdout !== process.stdout) return;
  try {
    closeSync(STDOUT_DESCRIPTOR);
  } catch {
    // A socket that is shut down already.
  }
}

async function settlesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
