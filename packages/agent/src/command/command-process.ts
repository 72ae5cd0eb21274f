import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { CodedError, type CommandExit, type TerminalSize } from "@farside/protocol";
import { ProcessFamily } from "@farside/protocol/process-family";
import { type StdioPipes, stdioPipes } from "./pipes.ts";
import { resizeTerminalOf, terminalCommand } from "./terminal.ts";

export interface CommandProcessOptions {
  readonly argv: readonly string[];
  /** All of it. */
  readonly environment: NodeJS.ProcessEnv;
  /** `NAME=value` in that environment by which its processes are found again. */
  readonly mark: string;
  readonly terminal?: (TerminalSize & { readonly type: string }) | undefined;
}

/** A command that runs, with all that it has started. */
export interface CommandProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the command itself has ended. Never rejects. */
  readonly exit: Promise<CommandExit>;
  readonly family: ProcessFamily;
  resize(size: TerminalSize): void;
}

/** Starts a command in a process group and session of its own. Rejects with `command.*`, or `agent.unsupported-host` for a terminal. */
export async function startCommand(options: CommandProcessOptions): Promise<CommandProcess> {
  const { terminal, mark } = options;
  const wrapped = terminal === undefined ? options : terminalCommand({ ...options, terminal });
  const [file = "", ...args] = wrapped.argv;
  const pipes = await stdioPipes();
  let child: ChildProcess;
  let spawned: Promise<void>;
  try {
    const stdio: StdioOptions = pipes === undefined ? "pipe" : [...pipes.stdio];
    child = spawn(file, args, { detached: true, stdio, env: wrapped.environment });
    spawned = new Promise((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
  } catch (error) {
    release(pipes);
    throw startFailure(options.argv[0] ?? "", error as Error);
  } finally {
    pipes?.closeChildEnds();
  }
  const exit = new Promise<CommandExit>((resolve) => {
    child.once("exit", (code, signal) => resolve(exitOf(code, signal)));
  });
  try {
    await spawned;
  } catch (error) {
    release(pipes);
    throw startFailure(options.argv[0] ?? "", error as Error);
  }
  // Later failures are those of a signal that could not be sent.
  child.on("error", () => {});
  const { stdin, stdout, stderr } = pipes ?? child;
  const { pid } = child;
  if (pid === undefined || stdin === null || stdout === null || stderr === null) {
    throw new Error("a child without a pid or pipes");
  }
  // A command that closes its stdin is nothing bad: the write tells.
  stdin.on("error", () => {});
  const family = new ProcessFamily(pid, mark);
  void exit.then(() => family.leaderReaped());
  return {
    ...{ stdin, stdout, stderr, exit, family },
    resize: (size) => {
      if (terminal !== undefined) resizeTerminalOf(pid, size);
    },
  };
}

function release(pipes: StdioPipes | undefined): void {
  if (pipes !== undefined) for (const stream of [pipes.stdin, pipes.stdout, pipes.stderr]) stream.destroy();
}

/** As a shell tells it: 127 for what is not there, 126 for what can't be run. */
function startFailure(name: string, error: Error): CodedError {
  const { code = error.message } = error as NodeJS.ErrnoException;
  const what = `running ${JSON.stringify(name.slice(0, 200))} on the jump host`;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new CodedError("command.not-found", `${what}: there is no such command`, {
      hint: "It is looked for on the PATH of a login without a terminal, without a shell.",
    });
  }
  return new CodedError("command.not-runnable", `${what}: ${code}`);
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): CommandExit {
  if (signal === null) return { exitCode: code ?? 0 };
  return { exitCode: 128 + constants.signals[signal], signal };
}
