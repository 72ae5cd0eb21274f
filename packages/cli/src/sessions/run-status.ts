import { setTimeout as wait } from "node:timers/promises";
import { listSessions, stateFolder } from "@farside/orchestrator";
import type { CommandContext } from "../command-context.ts";
import type { StatusArguments } from "../commands/status.ts";
import { LineSink } from "../output/line-sink.ts";
import { sessionFacts, sessionTable } from "./describe-session.ts";

const WATCH_INTERVAL_MS = 1000;
/** Cursor to the top left, and erase what is below it. */
const HOME = "\u001b[H\u001b[J";

/** `farside status`. Exit code 0, also where there is no session, and when `--watch` is ended. */
export async function runStatus(argv: StatusArguments, context: CommandContext): Promise<number> {
  const sink = new LineSink(context.stdout);
  const { signal } = context.interrupts;
  let last = "";
  for (;;) {
    const sessions = await listSessions(stateFolder(context.env));
    const lines =
      argv.json === true
        ? sessions.map((session) => JSON.stringify(sessionFacts(session)))
        : sessionTable(sessions, new Date());
    const text = lines.join("\n");
    const isTerminal = context.stdout.isTTY === true && argv.json !== true;
    // Into a file or a program: only what has changed.
    if (argv.watch !== true || isTerminal || text !== last) {
      if (argv.watch === true && isTerminal) sink.write(`${HOME}${text}`);
      else for (const line of lines) sink.write(line);
    }
    last = text;
    if (argv.watch !== true || sink.isGone) break;
    await wait(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
  }
  await sink.flush(2000);
  return 0;
}
