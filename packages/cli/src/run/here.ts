import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { CodedError, type CommandExit } from "@farside/protocol";
import { ProcessFamily } from "@farside/protocol/process-family";
import type { RunningCommand } from "./running-command.ts";

const COMMAND_VARIABLE = "FARSIDE_COMMAND";
/** What is left of its group when the command has ended gets this long after SIGTERM. */
const STRAGGLERS_GRACE_MS = 1_000;
/**
 * Ends the command where farside is gone without having done so: killed with SIGKILL, its stdin ends without a word. `$1` is the
 * group, `$2` the mark.
 */
const WATCHDOG = `
read -r word; [ "$word" = done ] && exit;
for round in 1 2 3; do
  kill -KILL "-$1"; for f in $(grep -lsF "$2" /proc/[0-9]*/environ); do p=\${f#/proc/}; kill -KILL "\${p%%/*}"; done;
done 2>/dev/null`;

/** Runs a command on this machine: a process group and session of its own, with farside's own stdin, stdout and stderr. */
export function runHere(argv: readonly string[], environment: NodeJS.ProcessEnv): RunningCommand {
  const [file = "", ...args] = argv;
  const mark = randomBytes(16).toString("hex");
  const env = { ...environment, [COMMAND_VARIABLE]: mark };
  let child: ChildProcess;
  try {
    child = spawn(file, args, { detached: true, stdio: "inherit", env });
  } catch (error) {
    return failed(startFailure(file, error as Error));
  }
  const { pid } = child;
  if (pid === undefined) {
    return failed(
      new Promise((_, reject) => child.once("error", (error) => reject(startFailure(file, error)))),
    );
  }
  child.on("error", () => undefined);
  const family = new ProcessFamily(pid, `${COMMAND_VARIABLE}=${mark}`);
  const watchdog = startWatchdog(pid, `${COMMAND_VARIABLE}=${mark}`);
  const hurry = new AbortController();
  let ending: Promise<void> | undefined;
  const end = (graceMs: number) => {
    if (graceMs === 0) {
      hurry.abort();
      family.killNow();
    }
    ending ??= family.end({ graceMs, hurry: hurry.signal });
    return ending;
  };
  const exit = new Promise<CommandExit>((resolve) => {
    child.once("exit", (code, signal) => {
      family.leaderReaped();
      resolve(
        signal === null ? { exitCode: code ?? 0 } : { exitCode: 128 + constants.signals[signal], signal },
      );
    });
  });
  const ended = exit.then(async (status) => {
    await end(STRAGGLERS_GRACE_MS);
    watchdog.stdin?.end("done\n");
    return status;
  });
  return { ended, end, kill: (signal) => void family.signalGroup(signal) };
}

function startWatchdog(group: number, mark: string): ChildProcess {
  const watchdog = spawn("/bin/sh", ["-c", WATCHDOG, "farside", String(group), mark], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.on("error", () => undefined);
  watchdog.stdin?.on("error", () => undefined);
  watchdog.unref();
  return watchdog;
}

function failed(why: CodedError | Promise<never>): RunningCommand {
  const ended = why instanceof Promise ? why : Promise.reject(why);
  ended.catch(() => undefined);
  return { ended, end: async () => undefined, kill: () => undefined };
}

function startFailure(name: string, error: Error): CodedError {
  const { code = error.message } = error as NodeJS.ErrnoException;
  const what = `running ${JSON.stringify(name.slice(0, 200))} here`;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new CodedError("command.not-found", `${what}: there is no such command`);
  }
  return new CodedError("command.not-runnable", `${what}: ${code}`);
}
