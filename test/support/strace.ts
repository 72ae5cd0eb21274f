import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import { within } from "./wait-for.ts";

const CALLS =
  "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,truncate,memfd_create";

/** strace on a host's sshd and everything that comes of it from then on, until it is stopped. */
export class Trace {
  readonly #strace: ChildProcess;
  readonly #path: string;

  private constructor(strace: ChildProcess, path: string) {
    this.#strace = strace;
    this.#path = path;
  }

  static async ofLoginsTo(lab: Lab, host: Host): Promise<Trace> {
    const pid = await host.sshd.pid();
    if (pid === undefined) throw new Error(`no sshd on ${host.name}`);
    const path = join(lab.shared, `strace-${host.name}-${pid}`);
    const strace = spawn(
      "strace",
      [
        "--follow-forks",
        "--attach",
        String(pid),
        "--trace",
        CALLS,
        "--string-limit",
        "256",
        "--output",
        path,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    // It says "Process N attached" once it is in place.
    await within(once(strace.stderr, "data"), 10_000, "strace");
    strace.stderr.resume();
    return new Trace(strace, path);
  }

  /** Stops tracing and returns the calls that made, changed or opened a file for writing, /dev/null left out. */
  async stop(): Promise<string[]> {
    this.#strace.kill("SIGINT");
    await once(this.#strace, "exit");
    return writingCalls(await readFile(this.#path, "utf8"));
  }
}

/** What sshd itself writes for any login: its log, and its own oom score. */
const SSHD_ITSELF = ["/var/log/lab-sshd.log", "/proc/self/oom_score_adj", "/dev/null"];

/** Successful calls of a trace that create, change or open for writing anything but /dev/null; sshd's own left out. */
export function writingCalls(trace: string): string[] {
  return wholeCalls(trace).filter((line) => {
    const match = /^\d+\s+(\w+)\((.*)\)\s+= (\d+)/.exec(line);
    if (match === null) return false;
    const [, call = "", given = ""] = match;
    if (!call.startsWith("open")) return true;
    return (
      /O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)/.test(given) &&
      !SSHD_ITSELF.some((path) => given.includes(`"${path}"`))
    );
  });
}

/** A call that another process came into the middle of is in two lines: `11 open(… <unfinished ...>`, `11 <... open resumed>…) = 3`. */
function wholeCalls(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split("\n").map((line) => {
    const [, pid = "", beginning] = /^(\d+)\s+(.*) <unfinished \.\.\.>$/.exec(line) ?? [];
    if (beginning !== undefined) begun.set(pid, beginning);
    const [, whose = "", end] = /^(\d+)\s+<\.\.\. \w+ resumed>(.*)$/.exec(line) ?? [];
    return end === undefined ? line : `${whose} ${begun.get(whose) ?? ""}${end}`;
  });
}
