import os from "node:os";
import { format } from "node:util";
import { keepDebuggersOut, keepYoungGenerationSmall, toCodedError } from "@farside/protocol";
import { stackOf } from "./agent-core.ts";
import { type AgentEnd, exitCodeOf } from "./agent-end.ts";
import type { Log } from "./log.ts";
import { agentTitle } from "./takeover/agent-title.ts";

/** However stuck a stream or a hop is: an agent that is ending is gone after this. */
const HARD_EXIT_MS = 3000;

export interface EndingAgent {
  readonly ending: Promise<AgentEnd>;
  readonly ended: Promise<AgentEnd>;
  end(reason: AgentEnd): void;
  /** What a signal does; default: `end`. */
  stop?(reason: AgentEnd): void;
}

export interface AgentProcessOptions {
  readonly log: Log;
  /** Signals that end it in order. */
  readonly signals: readonly NodeJS.Signals[];
}

/** What `ps` and the holder of a port are shown; see `agentTitle`. */
export function setTitle(session: string, lease?: number | "never"): void {
  process.title = agentTitle(session, lease);
}

/** Readies this process for an agent: what libraries print or warn of goes to the log, for stdout may be the control channel. */
export function prepareProcess(log: Log): void {
  keepDebuggersOut((url, opener) => log.warn("a debugger was open, and was closed", { url, opener }));
  keepYoungGenerationSmall();
  redirectConsole(log);
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => log.warn(message, { name }));
  setTitle("starting");
}

/** Makes this process live as long as `agent`: signals and bugs end the agent, and its end is the exit code. */
export function liveAs(agent: EndingAgent, { log, signals }: AgentProcessOptions): void {
  for (const signal of signals) {
    process.on(signal, () => {
      const reason = { reason: "signal", signalNumber: os.constants.signals[signal] } as const;
      if (agent.stop === undefined) agent.end(reason);
      else agent.stop(reason);
    });
  }
  const fatal = (error: unknown) => {
    log.error("a bug", { error: stackOf(error) });
    agent.end({ reason: "fatal", error: toCodedError(error) });
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
  void agent.ending.then((end) => setTimeout(() => process.exit(exitCodeOf(end)), HARD_EXIT_MS));
  void agent.ended.then((end) => process.exit(exitCodeOf(end)));
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
