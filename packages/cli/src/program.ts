/** The command's process: signals, streams and the exit code. What main.ts runs, bundled or not. */
import { errorTable, toCodedError } from "@farside/protocol/errors";
import { keepDebuggersOut } from "@farside/protocol/keep-debuggers-out";
import { keepYoungGenerationSmall } from "@farside/protocol/small-young-generation";
import type { CommandContext } from "./command-context.ts";
import { runCommandLine } from "./command-line.ts";
import { exitCodeOf, type Interrupt, interruptExitCodes } from "./exit-code.ts";
import { outliveTerminal } from "./gone-terminal.ts";
import { Interrupts } from "./interrupts.ts";
import { watchOutput } from "./output/lost-output.ts";
import { writeError, writeWarning } from "./output/write-error.ts";

const interrupts = new Interrupts();
const context: CommandContext = {
  // Not before somebody reads it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interrupts,
};
/** Of `run` stdout is the command's, which feels itself that it can't be written. */
const isOfCommand = process.argv[2] === "run";
let crashes = 0;

keepDebuggersOut((url, opener) => {
  const why = opener === "option" ? "NODE_OPTIONS asks for it" : "SIGUSR1 opened it while farside started";
  const hint = `${why}; every user of this machine could read the PIN through it.`;
  writeWarning(`the debugger at ${url} was closed`, hint, context);
});
keepYoungGenerationSmall();
outliveTerminal();

for (const signal of Object.keys(interruptExitCodes) as Interrupt[]) {
  process.on(signal, () => {
    const step = interrupts.take(signal);
    // Nothing that is still under way may hold up a kill.
    if (step === "kill") setTimeout(() => process.exit(interruptExitCodes[signal]), 1000).unref();
  });
}
// A reader that went away is no reason to leave something behind on a host.
const lostOutput = watchOutput(process.stdout);
process.stderr.on("error", () => undefined);
for (const event of ["uncaughtException", "unhandledRejection"] as const) process.on(event, crash);

// A run that never settles is a bug, and must not look like a success.
process.exitCode = errorTable.internal.exit;
void run().then((exitCode) => process.exit(exitCode));

async function run(): Promise<number> {
  try {
    const exitCode = await runCommandLine(process.argv.slice(2), context);
    if (crashes > 0) return errorTable.internal.exit;
    const lost = isOfCommand ? undefined : await lostOutput();
    if (lost !== undefined) writeError(lost, context);
    return exitCode === 0 && lost !== undefined ? exitCodeOf(lost) : exitCode;
  } catch (error) {
    writeError(toCodedError(error), context);
    return exitCodeOf(error, interrupts.first);
  }
}

/** A bug: said once, then everything is torn down as by a signal. */
function crash(error: unknown): void {
  crashes += 1;
  writeError(toCodedError(error), context);
  if (crashes > 1) process.exit(errorTable.internal.exit);
  interrupts.take("SIGTERM");
}
