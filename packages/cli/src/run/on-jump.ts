import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import type { Session } from "@farside/orchestrator";
import type { TerminalSize } from "@farside/protocol";
import type { CommandContext } from "../command-context.ts";
import { rawTerminal } from "./raw-terminal.ts";
import type { RunningCommand } from "./running-command.ts";

const DEFAULT_SIZE = { columns: 80, rows: 24 } as const satisfies TerminalSize;

/** Runs a command on the jump host with farside's own stdin, stdout and stderr, in a terminal where `tty` says so. */
export function runOnJump(
  session: Session,
  argv: readonly string[],
  { stdin, stdout, stderr, env }: CommandContext,
  tty: boolean,
): RunningCommand {
  const sized = stdout as { readonly columns?: number; readonly rows?: number };
  const size = () => ({
    columns: sized.columns || DEFAULT_SIZE.columns,
    rows: sized.rows || DEFAULT_SIZE.rows,
  });
  const command = session.run(argv, {
    stdin,
    stdout: unblocking(stdout),
    stderr: unblocking(stderr),
    terminal: tty ? { ...size(), type: env["TERM"] || "dumb" } : undefined,
  });
  const resized = () => command.resize(size());
  const restore = tty ? rawTerminal(stdin) : undefined;
  if (tty) stdout.on("resize", resized);
  const ended = command.ended.finally(() => {
    restore?.();
    stdout.off("resize", resized);
    stdin?.pause();
  });
  ended.catch(() => undefined);
  return {
    ended,
    kill: (signal) => command.kill(signal),
    // With a grace, its session ends it.
    end: async (graceMs) => {
      if (graceMs === 0) command.kill("SIGKILL");
    },
  };
}

/** Node writes to a terminal as if it were a file: one that is stopped (Ctrl-S) would stop the heartbeats too. */
function unblocking(stream: CommandContext["stdout"]): Writable {
  const { fd } = stream as { readonly fd?: number };
  if (stream.isTTY !== true || fd === undefined) return stream;
  return createWriteStream("", { fd, autoClose: false });
}
