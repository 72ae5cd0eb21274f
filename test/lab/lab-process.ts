import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { waitFor } from "../support/wait-for.ts";

export interface SpawnOptions {
  /** Account that it runs as; root where left out. */
  readonly user?: string;
  /** Added to a login environment that is otherwise fixed (HOME, USER, LOGNAME, SHELL, PATH, LANG). */
  readonly env?: Readonly<Record<string, string>>;
  /** Folder on the host; the account's home where left out. */
  readonly cwd?: string;
  /** Texts that the process finds at file descriptors 3, 4, … */
  readonly descriptors?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ExecOptions extends SpawnOptions {
  readonly input?: string | Uint8Array;
  /** 60,000 where left out; then the process group is killed and exec rejects. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  /** Exit status; 128 + n style is not used: a process that died of a signal has `null`. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process on a lab host. Its output is kept as text; it dies with its host at the latest. */
export class LabProcess {
  readonly child: ChildProcess;
  /** Settles when the process has ended and its output is complete. Never rejects. */
  readonly exit: Promise<Exit>;
  #stdout = "";
  #stderr = "";
  #isClosed = false;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.exit = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#isClosed = true;
        resolve({ code, signal });
      });
      child.once("error", (error) => {
        this.#stderr += String(error);
        resolve({ code: 127, signal: null });
      });
    });
  }

  /** Starts `argv` in the namespaces that `enter` (an nsenter command line) leads into. */
  static start(enter: readonly string[], argv: readonly string[], options: SpawnOptions = {}): LabProcess {
    const texts = options.descriptors ?? [];
    const [command = "", ...rest] = [...enter, ...asAccount(argv, options)];
    const child = spawn(command, rest, {
      stdio: ["pipe", "pipe", "pipe", ...texts.map(() => "pipe" as const)],
      detached: true,
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    child.stdin?.on("error", () => {});
    for (const [index, text] of texts.entries()) {
      const pipe = child.stdio[3 + index] as Writable;
      pipe.on("error", () => {});
      pipe.end(text);
    }
    return new LabProcess(child);
  }

  /** Everything that it has written so far. */
  get stdout(): string {
    return this.#stdout;
  }
  get stderr(): string {
    return this.#stderr;
  }
  get stdin(): Writable {
    return this.child.stdin as Writable;
  }
  get output(): Readable {
    return this.child.stdout as Readable;
  }
  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The machine's pid of the process itself (not of the nsenter that waits for it). */
  async pid(): Promise<number> {
    const outer = this.child.pid;
    if (outer === undefined) throw new Error("the process did not start");
    return waitFor(
      async () => {
        const text = await readFile(`/proc/${outer}/task/${outer}/children`, "utf8");
        const inner = Number(text.trim().split(" ")[0]);
        return inner > 0 ? inner : undefined;
      },
      { what: `the child of process ${outer}` },
    );
  }

  /** Sends `signal` to the process alone. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /** Kills the process and what it started in its group, and waits. */
  async kill(): Promise<void> {
    // Not asked of hasEnded: what it started in the background may still hold its output.
    if (this.child.pid !== undefined && !this.#isClosed) {
      try {
        process.kill(-this.child.pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
    await this.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** Runs `argv` to its end and returns what it said. Rejects only when it took too long. */
export async function execIn(
  enter: readonly string[],
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const process = LabProcess.start(enter, argv, options);
  process.stdin.end(options.input ?? "");
  const timeoutMs = options.timeoutMs ?? 60_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void process.kill();
  }, timeoutMs);
  const { code } = await process.exit;
  clearTimeout(timer);
  if (late) {
    throw new Error(`${argv.join(" ")} took more than ${timeoutMs} ms\n${process.stdout}${process.stderr}`);
  }
  return { code, stdout: process.stdout, stderr: process.stderr };
}

/** `argv` under a shell that sets up the account as a login would, without leaving a trace in login records. */
function asAccount(argv: readonly string[], options: SpawnOptions): string[] {
  const user = options.user ?? "root";
  const home = user === "root" ? "/root" : `/home/${user}`;
  const environment = {
    HOME: home,
    USER: user,
    LOGNAME: user,
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...options.env,
  };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const become = 'exec setpriv --reuid="$0" --regid="$(id -g "$0")" --init-groups "$@"';
  const identity = user === "root" ? [] : ["/bin/sh", "-c", become, user];
  const enterFolder = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', options.cwd ?? home];
  return [...identity, "/usr/bin/env", "-i", ...variables, ...enterFolder, ...argv];
}
