import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readlinkSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/** Four processes with a pipe between each two; each says that it is there, and goes when its stdin ends. */
const PLUMBER = "exec 3>&1 4<&0; stage() { echo x >&3; read -r _ <&4; }; stage | stage | stage | stage";
const STAGES = 4;
const TIMEOUT_MS = 2_000;
const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** Pipes of the kernel for the stdio of a child: its ends as descriptors, ours as streams. */
export interface StdioPipes {
  readonly stdio: readonly [stdin: number, stdout: number, stderr: number];
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Closes the child's ends here; once it has been spawned, or was not. */
  closeChildEnds(): void;
}

/**
 * Makes pipes, as sshd gives to a command. What Node.js gives to a child are sockets, on which `/dev/stderr` can't be opened and a
 * closed reader is ECONNRESET instead of SIGPIPE; and it has no pipe(2). So a shell makes them, and both ends are opened through its
 * /proc/PID/fd. No file is made. Resolves with undefined where that does not work: on a host without /proc.
 */
export async function stdioPipes(): Promise<StdioPipes | undefined> {
  const plumber = spawn("/bin/sh", ["-c", PLUMBER], { stdio: ["pipe", "pipe", "ignore"] });
  plumber.on("error", () => {});
  plumber.stdin.on("error", () => {});
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    if (!(await areReady(plumber))) return undefined;
    const [first, second, third] = pipesOf(plumber.pid ?? 0);
    if (first === undefined || second === undefined || third === undefined) return undefined;
    // In an order in which no open can wait for the other end, whatever becomes of the plumber.
    const both = open(first, O_RDWR | O_NONBLOCK);
    const childStdin = open(first, O_RDONLY);
    const ourStdin = open(first, O_WRONLY | O_NONBLOCK);
    closeSync(opened.shift() ?? both);
    const [ourStdout, childStdout] = [open(second, O_RDONLY | O_NONBLOCK), open(second, O_WRONLY)];
    const [ourStderr, childStderr] = [open(third, O_RDONLY | O_NONBLOCK), open(third, O_WRONLY)];
    opened.length = 0;
    const stdio = [childStdin, childStdout, childStderr] as const;
    return {
      stdio,
      stdin: new Socket({ fd: ourStdin, readable: false, writable: true }),
      stdout: new Socket({ fd: ourStdout, readable: true, writable: false }),
      stderr: new Socket({ fd: ourStderr, readable: true, writable: false }),
      closeChildEnds: () => {
        for (const fd of stdio) closeSync(fd);
      },
    };
  } catch {
    return undefined;
  } finally {
    for (const fd of opened) closeSync(fd);
    await ended(plumber);
  }
}

/** Whether every process of the plumber has said that it is there. */
function areReady(plumber: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), TIMEOUT_MS);
    const settle = (isReady: boolean) => {
      clearTimeout(timer);
      resolve(isReady);
    };
    let said = 0;
    plumber.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.filter((byte) => byte === 0x78).length;
      if (said >= STAGES) settle(true);
    });
    plumber.once("error", () => settle(false));
    plumber.once("exit", () => settle(false));
  });
}

/** A path for each pipe between the children of `pid`. */
function pipesOf(pid: number): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  const found = new Map<string, string>();
  // The last of them may be the shell itself.
  for (const process of [...children, String(pid)]) {
    for (const fd of ["0", "1"]) {
      const path = `/proc/${process}/fd/${fd}`;
      const what = linkOf(path);
      if (what?.startsWith("pipe:")) found.set(what, path);
    }
  }
  return [...found.values()];
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Its processes hold the pipes open until they are gone. */
async function ended(plumber: ChildProcess): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    plumber.once("close", () => resolve());
    setTimeout(() => {
      plumber.kill("SIGKILL");
      resolve();
    }, TIMEOUT_MS).unref();
  });
  plumber.stdin?.end();
  if (plumber.pid !== undefined) await closed;
}
