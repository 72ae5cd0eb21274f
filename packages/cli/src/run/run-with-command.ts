import { constants } from "node:os";
import { commandEnvironment, DEFAULTS, type Session } from "@farside/orchestrator";
import { type CodedError, isCodedError, toCodedError } from "@farside/protocol";
import type { CommandContext } from "../command-context.ts";
import type { RunArguments } from "../commands/run.ts";
import { type Attended, runForward } from "../forward/run-forward.ts";
import { usageError } from "../usage-error.ts";
import { failedRunExitCode, RUN_FAILED } from "./exit-code.ts";
import { runHere } from "./here.ts";
import { runOnJump } from "./on-jump.ts";
import type { RunningCommand } from "./running-command.ts";

/** `farside run`: a session that lives as long as a command. Resolves with the command's exit code, or with farside's own. */
export async function runWithCommand(
  argv: RunArguments,
  command: readonly string[] | undefined,
  context: CommandContext,
): Promise<number> {
  if (command === undefined || command.length === 0 || command[0] === "") {
    throw usageError("the command is missing", "Put it behind --: farside run JUMP -L … -- make sign");
  }
  if (argv.here === true && argv.tty === true) {
    throw usageError("--tty is for a command on JUMP: with --here it has this terminal");
  }
  let exitCode: number | undefined;
  const started = await runForward({ ...argv, json: undefined }, context, {
    isLive: false,
    attend: async (attended) => {
      exitCode = await attend(attended, command, argv);
      return exitCode;
    },
  });
  // Without a session there is only farside's own failure to tell.
  return exitCode ?? (context.interrupts.first !== undefined && started > 128 ? started : RUN_FAILED);
}

/** How long a command that got SIGKILL may take to be gone, before its session is ended without it. */
const KILL_TIMEOUT_MS = 3_000;

async function attend(
  { session, context, reporter }: Attended,
  argv: readonly string[],
  options: RunArguments,
): Promise<number> {
  const { interrupts } = context;
  const graceMs = options.grace ?? DEFAULTS.graceMs;
  const failed = (failure: CodedError) => failedRunExitCode(failure, interrupts.first);
  let command: RunningCommand | undefined;
  const timers = new Set<NodeJS.Timeout>();
  let isKilled = false;
  /** Without grace. The session comes after it, so that it can still be told how the command ended. */
  const kill = () => {
    isKilled = true;
    void command?.end(0);
    timers.add(setTimeout(() => session.escalate(), command === undefined ? 0 : KILL_TIMEOUT_MS));
  };
  const off = interrupts.onStep((step) => {
    if (step === "kill") session.kill();
    else if (step === "hurry") kill();
    else if (command === undefined || interrupts.first === undefined) void session.close({ graceMs });
    else {
      reporter.step(`passing ${interrupts.first} on to the command`);
      command.kill(interrupts.first);
      timers.add(setTimeout(kill, graceMs));
    }
  });
  try {
    const early = await session.ready.then(() => undefined, toCodedError);
    if (early !== undefined) return failed((await session.closed).failure ?? early);
    const starting = () => {
      interrupts.signal.throwIfAborted();
      command = start(session, argv, options, context);
      return command;
    };
    const ended = await outcomeOf(starting, session, graceMs);
    for (const timer of timers) clearTimeout(timer);
    const { failure } = await session.close({ graceMs });
    // Its events have told that already.
    if (failure !== undefined) return failed(failure);
    if (!isCodedError(ended)) return ended;
    if (isKilled && ended.code === "agent.gone") return 128 + constants.signals.SIGKILL;
    reporter.error(ended);
    return failed(ended);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    off();
  }
}

function start(
  session: Session,
  argv: readonly string[],
  { here, tty }: RunArguments,
  context: CommandContext,
): RunningCommand {
  if (here !== true) return runOnJump(session, argv, context, tty === true);
  return runHere(argv, { ...context.env, ...commandEnvironment(session.name, session.forwards) });
}

/** The command's exit code, or why there is none. A session that ends takes the command with it. */
async function outcomeOf(
  starting: () => RunningCommand,
  session: Session,
  graceMs: number,
): Promise<number | CodedError> {
  try {
    const command = starting();
    void session.closed.then(() => command.end(graceMs));
    return (await command.ended).exitCode;
  } catch (error) {
    return toCodedError(error);
  }
}
