import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import {
  cardOptions,
  eventOptions,
  forwardOptions,
  identityOptions,
  sessionOptions,
  sshOptions,
} from "../options/definitions.ts";
import { residentOptions } from "../options/resident-options.ts";

export const allForwardOptions = {
  ...forwardOptions,
  ...identityOptions,
  ...cardOptions,
  ...sshOptions,
  ...sessionOptions,
  ...residentOptions,
  ...eventOptions,
} as const;

/** `farside forward` as yargs read it. */
export type ForwardArguments = Partial<InferredOptionTypes<typeof allForwardOptions>> & {
  readonly jump: string;
};

export function forwardCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: ["forward <jump>", "deploy-and-forward"],
    describe: "Open a listener on a jump host and forward it to a target, until Ctrl-C",
    builder: (line: Argv) =>
      line
        .usage(
          "$0 forward [user@]JUMP -L SPEC … [--via HOP,…] [options]\n\n" +
            "Open a listener on a jump host and forward it to a target, until Ctrl-C.",
        )
        .positional("jump", { type: "string", demandOption: true, describe: "Jump host, [user@]JUMP" })
        .options(allForwardOptions)
        .example(
          "$0 forward builder@build-1 -L 4444:localhost:4444 --via signer@sign-1",
          "localhost:4444 on build-1 reaches localhost:4444 of sign-1",
        )
        .example(
          "$0 forward build-1 -L /run/user/1000/db.sock:db:5432",
          "A socket on build-1 reaches db:5432",
        ),
    handler: async (argv: ArgumentsCamelCase<ForwardArguments>) => {
      const { runForward } = await import("../forward/run-forward.ts");
      take(await runForward(argv, context));
    },
  } as unknown as CommandModule;
}
