import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import { auditPlace, hostAudit } from "../options/audit-place.ts";
import { identityOptions, jsonOption, logOption, sshOptions } from "../options/definitions.ts";
import { asText, once, repeated } from "../options/values.ts";
import { agentOptions } from "./agent.ts";

export const auditOptions = {
  head: {
    type: "string",
    requiresArg: true,
    describe: "A place that was kept elsewhere, LINE:HASH, which the log must have; repeatable",
    coerce: repeated("--head", auditPlace),
  },
  agent: {
    type: "string",
    requiresArg: true,
    describe:
      "Log in and check the log of an installed agent, USER@HOST/NAME, against what was seen of it from here",
    coerce: once("--agent", hostAudit),
  },
  folder: {
    type: "string",
    requiresArg: true,
    describe:
      "Folder of the log (default: that of this workstation's sessions); with --agent, of a copy of the agent's",
    coerce: once("--folder", asText),
  },
  "remote-node": agentOptions["remote-node"],
  ...identityOptions,
  ...sshOptions,
  ...jsonOption,
  ...logOption,
} as const;

/** `farside audit verify` as yargs read it. */
export type AuditArguments = Partial<InferredOptionTypes<typeof auditOptions>>;

export function auditCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "audit",
    describe: "Check the log of what sessions did: verify",
    builder: (line: Argv) =>
      line
        .command(
          "verify",
          "Say whether a line of the audit log was changed, removed or cut off, and what that does not prove",
          (options: Argv) =>
            options
              .options(auditOptions)
              .example("$0 audit verify", "Exit code 0 where every line is as it was written, 77 where not")
              .example("$0 audit verify --agent builder@build-1/agent", "The log of an agent on its host"),
          async (argv: ArgumentsCamelCase<AuditArguments>) => {
            const { runAuditVerify } = await import("../audit/run-audit-verify.ts");
            take(await runAuditVerify(argv, context));
          },
        )
        .demandCommand(1, 1, "Say what to do with the audit log: verify."),
    handler: () => undefined,
  } as unknown as CommandModule;
}
