import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import { identityOptions, jsonOption, logOption } from "../options/definitions.ts";

const { identity: _, ...pkcs11Options } = identityOptions;
export const cardOptions = { ...pkcs11Options, ...jsonOption, ...logOption } as const;

/** `farside card …` as yargs read it. */
export type CardArguments = Partial<InferredOptionTypes<typeof cardOptions>>;

const subcommands = [
  [
    "list",
    "Show the readers and cards, and the keys on them; asks for no PIN",
    ["$0 card list --json", "One object for each card"],
  ],
  [
    "keys",
    "Print the card's public keys as authorized_keys lines; asks for no PIN where the card allows it",
    ["$0 card keys >> authorized_keys", "What the hosts must know of the card"],
  ],
  [
    "test",
    "Log in, sign a test and check the signature; says how many PIN entries it took",
    ["$0 card test --key 9a", "The key of that PIV slot"],
  ],
] as const;
export type CardSubcommand = (typeof subcommands)[number][0];
export const cardSubcommandNames: readonly string[] = subcommands.map(([name]) => name);

export function cardCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "card",
    describe: "Look at the smart card: list, keys, test",
    builder: (line: Argv) => {
      for (const [command, describe, example] of subcommands) {
        line.command(
          command,
          describe,
          (options: Argv) => options.options(cardOptions).example(example[0], example[1]),
          async (argv: ArgumentsCamelCase<CardArguments>) => {
            const { runCard } = await import("../card/run-card.ts");
            take(await runCard(command, argv, context));
          },
        );
      }
      return line
        .demandCommand(1, 1, "Say what to do with the card: list, keys or test.")
        .example("$0 card keys >> authorized_keys", "What the hosts must know of the card");
    },
    handler: () => undefined,
  } as unknown as CommandModule;
}
