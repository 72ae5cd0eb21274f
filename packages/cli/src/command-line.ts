import { createRequire } from "node:module";
import { isCodedError } from "@farside/protocol/errors";
import yargs, { type Argv, type CommandModule } from "yargs";
import type { CommandContext } from "./command-context.ts";
import { cardCommand } from "./commands/card.ts";
import { forwardCommand } from "./commands/forward.ts";
import { statusCommand } from "./commands/status.ts";
import { teardownCommand } from "./commands/teardown.ts";
import { checkWords, explainMistake } from "./explain-mistake.ts";
import { splitShortOptions } from "./options/short-options.ts";

/** The command's exit code. Rejects with `usage.invalid` where the line can't be read, and with what the command rejects with. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0;
  const take = (code: number) => {
    exitCode = code;
  };
  const words = splitShortOptions(argv);
  checkWords(words);
  await defineCommandLine(words, context, take).parseAsync(words);
  return exitCode;
}

/** All of the command line, for running it and for the test that compares it with docs/cli.md. */
export function defineCommandLine(
  argv: readonly string[],
  context: CommandContext,
  take: (exitCode: number) => void,
): Argv {
  const commands: CommandModule[] = [
    forwardCommand(context, take),
    teardownCommand(context, take),
    statusCommand(context, take),
    cardCommand(context, take),
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
    .recommendCommands()
    .demandCommand(1, 1, "Say which command to run.", "One command at a time.")
    .help("help", "Show this help")
    .alias("help", "h")
    .version("version", "Show the version", packageVersion())
    .completion("completion", "Print the completion script for bash or zsh")
    .showHelpOnFail(false)
    .wrap(Math.min(110, context.stdout.columns ?? 110))
    .epilogue("Options, events and exit codes in full: docs/cli.md.")
    .fail((message, error) => {
      // A mistake on the line comes with a message of yargs; what a handler threw comes as an error alone.
      if (isCodedError(error) || (error !== undefined && !message)) throw error;
      throw explainMistake(message, argv);
    });
  for (const command of commands) line.command(command);
  return line;
}

function packageVersion(): string {
  const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
  return version;
}
