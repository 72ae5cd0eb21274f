import { logCommand } from "@farside/protocol";
import type { AgentRun } from "./agent-commands.ts";

/** `farside agent logs`: the last lines of an agent's log, and with `--follow` those that come. */
export async function showLogs(run: AgentRun): Promise<number> {
  const { argv, server, name, context } = run;
  const { signal } = context.interrupts;
  const { argv: command } = await server.installer.ask(
    logCommand,
    { name, lines: argv.lines ?? 100, follow: argv.follow === true },
    signal,
  );
  const { ended } = server.commands.run(command, { stdout: context.stdout, stderr: context.stderr, signal });
  try {
    const { exitCode } = await ended;
    return exitCode;
  } catch (error) {
    // Ctrl-C is how following ends.
    if (signal.aborted && argv.follow === true) return 0;
    throw error;
  }
}
