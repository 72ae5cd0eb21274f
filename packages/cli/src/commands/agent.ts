import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes, Options } from "yargs";
import type { CommandContext, TakeExitCode } from "../command-context.ts";
import { identityOptions, jsonOption, logOption, sshOptions } from "../options/definitions.ts";
import { parseDuration } from "../options/duration.ts";
import { agentNameOf, asText, once, oneOf, sessionName, wholeNumber } from "../options/values.ts";

const value = { type: "string", requiresArg: true, group: "Agent:" } as const;

export const agentOptions = {
  f: {
    ...value,
    describe: "forwards.yaml: what the agent is to do (install, apply); what to sign for (attach, upgrade)",
    coerce: once("-f", asText),
  },
  name: {
    ...value,
    describe: "The agent, where a login has several (default: agent, or the name in forwards.yaml)",
    coerce: once("--name", agentNameOf),
  },
  supervisor: {
    ...value,
    describe: "What keeps it running: systemd, or daemon (default: systemd where there is one)",
    coerce: once("--supervisor", oneOf(["systemd", "daemon"])),
  },
  "dry-run": {
    type: "boolean",
    group: "Agent:",
    describe: "Show what apply would change, and change nothing",
  },
  once: { type: "boolean", group: "Agent:", describe: "attach: end when every hop is logged in to" },
  grace: {
    ...value,
    describe:
      "What open connections of changed forwards (apply, default 10s) or of the old process (upgrade, 1h) get",
    coerce: once("--grace", (text: string, option: string) => parseDuration(text, option)),
  },
  lines: {
    ...value,
    describe: "logs: how many lines (default: 100)",
    coerce: once("--lines", wholeNumber(0, 100_000)),
  },
  session: {
    ...value,
    describe: "logs: of the agent of a session with --reattach or --detach, instead of an installed one",
    coerce: once("--session", sessionName),
  },
  follow: { type: "boolean", group: "Agent:", describe: "logs: go on showing them, until Ctrl-C" },
  "remote-node": {
    ...value,
    describe: "Path of node on the build server",
    coerce: once("--remote-node", asText),
  },
} as const satisfies Record<string, Options>;

export const allAgentOptions = {
  ...agentOptions,
  ...identityOptions,
  ...sshOptions,
  ...jsonOption,
  ...logOption,
} as const;

type AgentOption = keyof typeof agentOptions;

/** `farside agent …` as yargs read it. */
export type AgentArguments = Partial<InferredOptionTypes<typeof allAgentOptions>> & { readonly host: string };

const subcommands = {
  install: {
    describe: "Put an agent on a build server: it does what forwards.yaml says until it is uninstalled",
    options: ["f", "supervisor", "remote-node"],
    example: ["$0 agent install builder@build-1 -f forwards.yaml", "It stays, whoever logs out"],
  },
  apply: {
    describe: "Show what a changed forwards.yaml changes, and change it; other connections go on",
    options: ["f", "dry-run", "grace", "remote-node"],
    example: [
      "$0 agent apply builder@build-1 -f forwards.yaml",
      "Forwards that are the same are not touched",
    ],
  },
  attach: {
    describe: "Lend the agent your card or key, for hops that need a signature, until Ctrl-C",
    options: ["f", "name", "once", "remote-node"],
    example: ["$0 agent attach builder@build-1 --once", "Signs what is needed now, and ends"],
  },
  status: {
    describe: "Show the agents of a build server and the state of each forward",
    options: ["name", "remote-node"],
    example: ["$0 agent status builder@build-1", ""],
  },
  logs: {
    describe: "Show an agent's log",
    options: ["name", "session", "lines", "follow", "remote-node"],
    example: ["$0 agent logs builder@build-1 --follow", ""],
  },
  upgrade: {
    describe: "Put this version's agent there; listeners are handed over, no connection is refused",
    options: ["f", "name", "grace", "remote-node"],
    example: ["$0 agent upgrade builder@build-1", ""],
  },
  uninstall: {
    describe: "Stop an agent, remove all of it, and show that nothing is left",
    options: ["name", "remote-node"],
    example: ["$0 agent uninstall builder@build-1", "Exit code 0 when nothing is left, 75 when something is"],
  },
} as const satisfies Record<
  string,
  { describe: string; options: readonly AgentOption[]; example: readonly [string, string] }
>;
export type AgentSubcommand = keyof typeof subcommands;
export const agentSubcommandNames: readonly string[] = Object.keys(subcommands);

/** What `farside agent SUBCOMMAND` may be given; undefined where there is no such subcommand. */
export function agentSubcommandOptions(name: string): Readonly<Record<string, Options>> | undefined {
  if (!Object.hasOwn(subcommands, name)) return undefined;
  const { options } = subcommands[name as AgentSubcommand];
  const own = Object.fromEntries(options.map((option) => [option, agentOptions[option]]));
  return { ...own, ...identityOptions, ...sshOptions, ...jsonOption, ...logOption };
}

export function agentCommand(context: CommandContext, take: TakeExitCode): CommandModule {
  return {
    command: "agent",
    describe: "Agents that stay on build servers: install, apply, attach, status, logs, upgrade, uninstall",
    builder: (line: Argv) => {
      for (const [name, { describe, example }] of Object.entries(subcommands)) {
        line.command(
          `${name} <host>`,
          describe,
          (sub: Argv) =>
            sub
              .positional("host", {
                type: "string",
                demandOption: true,
                describe: "Build server, [user@]HOST",
              })
              .options(agentSubcommandOptions(name) ?? {})
              .example(example[0], example[1]),
          async (argv: ArgumentsCamelCase<AgentArguments>) => {
            const { runAgent } = await import("../agent/run-agent.ts");
            take(await runAgent(name as AgentSubcommand, argv, context));
          },
        );
      }
      return line.demandCommand(1, 1, `Say what to do: ${agentSubcommandNames.join(", ")}.`);
    },
    handler: () => undefined,
  } as unknown as CommandModule;
}
