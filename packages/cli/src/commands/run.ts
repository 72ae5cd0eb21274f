import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes, Options } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import { allForwardOptions } from "./forward.ts";

export const ownRunOptions = {
  here: {
    type: "boolean",
    group: "Command:",
    describe: "Run the command on this machine; the listeners stay on JUMP",
  },
  tty: {
    type: "boolean",
    alias: "t",
    group: "Command:",
    describe: "Give the command a terminal on JUMP (needs script(1) there)",
  },
} as const satisfies Record<string, Options>;

/** stdout is the command's: there is no `--json`. A command needs its connection: nothing outlives that. */
const { json: _, reattach: __, detach: ___, ...sharedOptions } = allForwardOptions;
export const allRunOptions = { ...ownRunOptions, ...sharedOptions } as const;

/** `farside run` as yargs read it. */
export type RunArguments = Partial<InferredOptionTypes<typeof allRunOptions>> & { readonly jump: string };

/** `command`: what stood behind `--`; undefined where there was none. */
export function runCommand(
  context: CommandContext,
  take: TakeExitCode,
  command: readonly string[] | undefined,
): CommandModule {
  return {
    command: "run <jump>",
    describe: "Run a command on a jump host with a forward that lives as long as it does",
    builder: (line: Argv) =>
      line
        .usage(
          "$0 run [user@]JUMP -L SPEC … [--via HOP,…] [options] -- COMMAND…\n\n" +
            "Run a command on a jump host with a forward that lives as long as it does.",
        )
        .positional("jump", { type: "string", demandOption: true, describe: "Jump host, [user@]JUMP" })
        .options(allRunOptions)
        .example(
          "$0 run builder@build-1 -L 4444:localhost:4444 --via signer@sign-1 -- make sign",
          "make sign on build-1, with localhost:4444 reaching sign-1",
        ),
    handler: async (argv: ArgumentsCamelCase<RunArguments>) => {
      const { runWithCommand } = await import("../run/run-with-command.ts");
      take(await runWithCommand(argv, command, context));
    },
  } as unknown as CommandModule;
}
