import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import {
  sshOptions as allSshOptions,
  forwardOptions,
  identityOptions,
  jsonOption,
  logOption,
  sessionOptions,
} from "../options/definitions.ts";
import { residentOptions } from "../options/resident-options.ts";

const { L: listeners, via, "via-host-key": viaHostKey } = forwardOptions;
/** Unknown host keys are failures here: nothing is asked, and nothing is written. */
const { "host-key-check": _, ...sshOptions } = allSshOptions;
const {
  engine,
  runtime,
  "remote-node": remoteNode,
  "runtime-file": runtimeFile,
  "respect-sshd-policy": respectSshdPolicy,
  "start-timeout": startTimeout,
} = sessionOptions;

export const doctorOptions = {
  L: { ...listeners, demandOption: false },
  ...{ via, "via-host-key": viaHostKey },
  ...identityOptions,
  ...sshOptions,
  ...{ engine, "remote-node": remoteNode, runtime, "runtime-file": runtimeFile },
  "metrics-port": {
    ...residentOptions["metrics-port"],
    describe: "Loopback port of JUMP that forward would answer for its metrics on",
  },
  ...{ "respect-sshd-policy": respectSshdPolicy, "start-timeout": startTimeout },
  ...jsonOption,
  ...logOption,
} as const;

/** `farside doctor` as yargs read it. */
export type DoctorArguments = Partial<InferredOptionTypes<typeof doctorOptions>> & { readonly jump: string };

export function doctorCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "doctor <jump>",
    describe: "Try everything that a forward needs, and open nothing",
    builder: (line: Argv) =>
      line
        .usage("$0 doctor [user@]JUMP [options]\n\nTry everything that a forward needs, and open nothing.")
        .positional("jump", { type: "string", demandOption: true, describe: "Jump host, [user@]JUMP" })
        .options(doctorOptions)
        .example(
          "$0 doctor builder@build-1 -L 4444:localhost:4444 --via signer@sign-1",
          "Exit code 0 where that forward would open",
        ),
    handler: async (argv: ArgumentsCamelCase<DoctorArguments>) => {
      const { runDoctor } = await import("../doctor/run-doctor.ts");
      take(await runDoctor(argv, context));
    },
  } as unknown as CommandModule;
}
