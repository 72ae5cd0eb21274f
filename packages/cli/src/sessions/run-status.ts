import { setTimeout as wait } from "node:timers/promises";
import { listSessions, type StoredSession, stateFolder } from "@farside/orchestrator";
import type { CommandContext } from "../command-context.ts";
import type { StatusArguments } from "../commands/status.ts";
import { jsonLine } from "../output/json-line.ts";
import { LineSink } from "../output/line-sink.ts";
import { sessionFacts, sessionLines } from "./describe-session.ts";
import { isScreen, screenText } from "./watch-screen.ts";

const WATCH_INTERVAL_MS = 1000;

/** `farside status`. Exit code 0, also where there is no session, and when `--watch` is ended. */
export async function runStatus(argv: StatusArguments, context: CommandContext): Promise<number> {
  const { stdout, env } = context;
  const sink = new LineSink(stdout);
  const { signal } = context.interrupts;
  const isDrawn = argv.watch === true && argv.json !== true && isScreen(stdout, env);
  let last = "";
  for (let isFirst = true; ; isFirst = false) {
    const lines = linesOf(await listSessions(stateFolder(env)), argv.json === true);
    const text = lines.join("\n");
    if (isDrawn) stdout.write(screenText(lines, stdout, isFirst));
    // Into a file or a program: only what has changed.
    else if (text !== last) for (const line of lines) sink.write(line);
    last = text;
    if (argv.watch !== true || sink.isGone) break;
    await wait(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
  }
  await sink.flush(2000);
  return 0;
}

function linesOf(sessions: readonly StoredSession[], isJson: boolean): string[] {
  return isJson
    ? sessions.map((session) => jsonLine(sessionFacts(session)))
    : sessionLines(sessions, new Date());
}
