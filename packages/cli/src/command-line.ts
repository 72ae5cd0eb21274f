import { createRequire } from "node:module";
import { isCodedError, toCodedError } from "@farside/protocol/errors";
import yargs, { type Argv, type CommandModule } from "yargs";
import type { CommandContext } from "./command-context.ts";
import { agentCommand } from "./commands/agent.ts";
import { auditCommand } from "./commands/audit.ts";
import { cardCommand } from "./commands/card.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { forwardCommand } from "./commands/forward.ts";
import { runCommand } from "./commands/run.ts";
import { statusCommand } from "./commands/status.ts";
import { teardownCommand } from "./commands/teardown.ts";
import { checkWords, explainMistake } from "./explain-mistake.ts";
import { splitShortOptions } from "./options/short-options.ts";
import { writeError } from "./output/write-error.ts";
import { failedRunExitCode } from "./run/exit-code.ts";

/** The command's exit code. Rejects with `usage.invalid` where the line can't be read, and with what the command rejects with. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0;
  const take = (code: number) => {
    exitCode = code;
  };
  const { words, command } = splitCommand(splitShortOptions(asHelp(argv)));
  try {
    checkWords(words);
    await defineCommandLine(words, context, take, command).parseAsync(words);
    return exitCode;
  } catch (error) {
    if (words[0] !== "run") throw error;
    // Every other exit code is its command's.
    const failure = toCodedError(error);
    writeError(failure, context);
    return failedRunExitCode(failure, context.interrupts.first);
  }
}

/** `help COMMAND` is `COMMAND --help`, as git has it. */
function asHelp(argv: readonly string[]): readonly string[] {
  return argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
}

/** Parts `run … -- COMMAND…`: the command is not farside's to read. */
function splitCommand(argv: readonly string[]): {
  readonly words: readonly string[];
  readonly command: readonly string[] | undefined;
} {
  const at = argv[0] === "run" ? argv.indexOf("--") : -1;
  if (at < 0) return { words: argv, command: undefined };
  return { words: argv.slice(0, at), command: argv.slice(at + 1) };
}

/** All of the command line, for running it and for the test that compares it with docs/cli.md. */
export function defineCommandLine(
  argv: readonly string[],
  context: CommandContext,
  take: (exitCode: number) => void,
  command?: readonly string[],
): Argv {
  const commands: CommandModule[] = [
    forwardCommand(context, take),
    runCommand(context, take, command),
    teardownCommand(context, take),
    statusCommand(context, take),
    doctorCommand(context, take),
    agentCommand(context, take),
    cardCommand(context, take),
    auditCommand(context, take),
  ];
  const line = yargs()
    .scriptName("farside")
    .usage("$0 COMMAND\n\nOne PIN, one command, a listener on the jump host.")
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "duplicate-arguments-array": true,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "strip-aliased": true,
    })
    .locale("en")
    .exitProcess(false)
    .strict()
    .demandCommand(1, 1, "Say which command to run.", "One command at a time.")
    .help("help", "Show this help")
    .alias("help", "h")
    .version("version", "Show the version", packageVersion())
    .alias("version", "V")
    .completion("completion", "Print the completion script for bash or zsh")
    .showHelpOnFail(false)
    .wrap(Math.min(110, context.stdout.columns ?? 110))
    .epilogue("Options, events and exit codes in full: docs/cli.md.")
    .fail((message, error) => {
      // A mistake on the line comes with a message of yargs; what a handler threw comes as an error alone.
      if (isCodedError(error) || (error !== undefined && !message)) throw error;
      throw explainMistake(message, argv);
    });
  for (const module of commands) line.command(module);
  spareHelp(line);
  return line;
}

/** What yargs does not document. */
interface YargsInternals {
  getInternalMethods?: () => { getUsageInstance?: () => { cacheHelpMessage?: () => void } };
}

/** yargs lays out the help of every command that it runs, for nobody: a quarter of the time until the command is there. */
function spareHelp(line: Argv): void {
  const usage = (line as YargsInternals).getInternalMethods?.().getUsageInstance?.();
  if (usage?.cacheHelpMessage !== undefined) usage.cacheHelpMessage = () => {};
}

function packageVersion(): string {
  const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
  return version;
}
