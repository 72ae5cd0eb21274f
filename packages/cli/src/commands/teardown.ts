import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import {
  sshOptions as allSshOptions,
  identityOptions,
  jsonOption,
  logOption,
} from "../options/definitions.ts";
import { asText, repeated } from "../options/values.ts";

/** `-p` and `-J` are what the session was started with. */
const { p: _, J: __, ...sshOptions } = allSshOptions;

export const teardownOptions = {
  all: {
    type: "boolean",
    describe: "Every session of this workstation",
  },
  host: {
    type: "string",
    requiresArg: true,
    describe: "Every agent of the login's user on that host, whoever started it, [user@]HOST; repeatable",
    coerce: repeated("--host", asText),
  },
  ...identityOptions,
  ...sshOptions,
  ...jsonOption,
  ...logOption,
} as const;

/** `farside teardown` as yargs read it. */
export type TeardownArguments = Partial<InferredOptionTypes<typeof teardownOptions>> & {
  readonly session?: readonly string[] | undefined;
};

export function teardownCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "teardown [session..]",
    describe: "End sessions of this workstation and show that nothing is left",
    builder: (line: Argv) =>
      line
        .positional("session", { type: "string", array: true, describe: "Names of sessions" })
        .options(teardownOptions)
        .example("$0 teardown --all", "Exit code 0 when nothing is left, 75 when something is"),
    handler: async (argv: ArgumentsCamelCase<TeardownArguments>) => {
      const { runTeardown } = await import("../sessions/run-teardown.ts");
      take(await runTeardown(argv, context));
    },
  } as unknown as CommandModule;
}
