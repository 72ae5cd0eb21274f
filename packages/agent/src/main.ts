/**
 * The session agent's process: what the bundle runs. The only place of the agent that knows signals, exit codes, the
 * process's title and its standard streams. stdout is the control channel; logs go to stderr.
 */
import os from "node:os";
import { format } from "node:util";
import { toCodedError } from "@farside/protocol";
import { exitCodeOf } from "./agent-end.ts";
import { readBootFacts } from "./boot-facts.ts";
import { readHostFacts } from "./host-facts.ts";
import { Log } from "./log.ts";
import { endOwnLogin } from "./login-sshd.ts";
import { SessionAgent } from "./session-agent.ts";

/** However stuck a stream or a hop is: an agent that is ending is gone after this. */
const HARD_EXIT_MS = 3000;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

function run(): void {
  const log = new Log(process.stderr);
  redirectConsole(log);
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => log.warn(message, { name }));
  const facts = readHostFacts();
  setTitle("starting");
  const agent = new SessionAgent({
    boot: readBootFacts(globalThis),
    stdin: process.stdin,
    stdout: process.stdout,
    facts,
    log,
    environment: process.env,
    onSession: setTitle,
    endOwnLogin: () => endOwnLogin(facts.uid),
  });
  for (const signal of SIGNALS) {
    process.on(signal, () => agent.end({ reason: "signal", signalNumber: os.constants.signals[signal] }));
  }
  const fatal = (error: unknown) => {
    log.error("a bug", { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    agent.end({ reason: "fatal", error: toCodedError(error) });
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  // However it comes to that.
  process.on("exit", () => agent.killCommands());
  void agent.ending.then((end) => setTimeout(() => process.exit(exitCodeOf(end)), HARD_EXIT_MS));
  void agent.ended.then((end) => process.exit(exitCodeOf(end)));
}

/** What `ps` and the holder of a port are shown: no secret, and nothing a terminal could take for a command. */
function setTitle(session: string): void {
  process.title = `farside-agent ${session.replace(/[^\x21-\x7e]/g, "_").slice(0, 64)}`;
}

/** A stray print of a library must not reach the control channel. */
function redirectConsole(log: Log): void {
  const levels = {
    log: "info",
    info: "info",
    warn: "warn",
    error: "error",
    debug: "debug",
    trace: "debug",
  } as const;
  for (const [method, level] of Object.entries(levels)) {
    Object.assign(globalThis.console, { [method]: (...args: unknown[]) => log[level](format(...args)) });
  }
}

run();
