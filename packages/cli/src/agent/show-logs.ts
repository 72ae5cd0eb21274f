import { setTimeout as wait } from "node:timers/promises";
import { logCommand } from "@farside/protocol";
import { HarmlessLines } from "../output/harmless-lines.ts";
import type { AgentRun } from "./agent-commands.ts";

const FLUSH_TIMEOUT_MS = 2_000;

/** `farside agent logs`: the last lines of an agent's log, and with `--follow` those that come. */
export async function showLogs(run: AgentRun): Promise<number> {
  const { argv, server, name, context } = run;
  const { signal } = context.interrupts;
  const { session } = argv;
  const { argv: command } = await server.installer.ask(
    logCommand,
    { name, lines: argv.lines ?? 100, follow: argv.follow === true, ...(session && { session }) },
    signal,
  );
  // The host's own words, or whoever's it lets write them.
  const [stdout, stderr] = [new HarmlessLines(), new HarmlessLines()];
  stdout.pipe(context.stdout, { end: false });
  stderr.pipe(context.stderr, { end: false });
  const { ended } = server.commands.run(command, { stdout, stderr, signal });
  try {
    return (await ended).exitCode;
  } catch (error) {
    // Ctrl-C is how following ends.
    if (signal.aborted && argv.follow === true) return 0;
    throw error;
  } finally {
    const ends = [stdout, stderr].map(
      (lines) => new Promise<void>((resolve) => lines.on("end", resolve).end()),
    );
    // A reader that is gone takes nothing any more.
    await Promise.race([Promise.all(ends), wait(FLUSH_TIMEOUT_MS, undefined, { ref: false })]);
  }
}
