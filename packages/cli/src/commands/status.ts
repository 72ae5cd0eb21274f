import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import { jsonOption, logOption } from "../options/definitions.ts";

export const statusOptions = {
  ...jsonOption,
  watch: {
    type: "boolean",
    group: "Output:",
    describe: "Go on showing it, until Ctrl-C",
  },
  ...logOption,
} as const;

/** `farside status` as yargs read it. */
export type StatusArguments = Partial<InferredOptionTypes<typeof statusOptions>>;

export function statusCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "status",
    describe: "Show the sessions of this workstation",
    builder: (line: Argv) =>
      line.options(statusOptions).example("$0 status --json", "One object for each session"),
    handler: async (argv: ArgumentsCamelCase<StatusArguments>) => {
      const { runStatus } = await import("../sessions/run-status.ts");
      take(await runStatus(argv, context));
    },
  } as unknown as CommandModule;
}
