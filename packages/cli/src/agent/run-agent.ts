import { AgentStore, DEFAULT_AGENT_NAME, readForwardsFile, stateFolder } from "@farside/orchestrator";
import { toCodedError } from "@farside/protocol";
import type { CommandContext } from "../command-context.ts";
import type { AgentArguments, AgentSubcommand } from "../commands/agent.ts";
import { exitCodeOf } from "../exit-code.ts";
import { Answer } from "../output/answer.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import { usageError } from "../usage-error.ts";
import { type AgentRun, agentCommands } from "./agent-commands.ts";
import { connectBuildServer, logInToBuildServer } from "./agent-login.ts";
import { readForwardsText } from "./read-forwards-text.ts";
import { soleAgent } from "./sole-agent.ts";

/** `farside agent SUBCOMMAND HOST`: logs in, does it, and says what came of it. */
export async function runAgent(
  subcommand: AgentSubcommand,
  argv: AgentArguments,
  context: CommandContext,
): Promise<number> {
  const { interrupts, stdout, env } = context;
  const people = peopleReporter(argv, context);
  const answer = new Answer(stdout);
  try {
    // What can be known to be wrong before anybody is asked for a PIN.
    const file = argv.f === undefined ? undefined : await readForwardsText(argv.f);
    const content = file && readForwardsFile(file.text, file.name);
    if ((subcommand === "install" || subcommand === "apply") && content === undefined)
      throw usageError(
        `agent ${subcommand} needs a forwards.yaml`,
        "Give it with -f; docs/installed-agents.md has one.",
      );
    const given = argv.name ?? content?.name;
    if (
      argv.name !== undefined &&
      content !== undefined &&
      (content.name ?? DEFAULT_AGENT_NAME) !== argv.name
    )
      throw usageError(
        `--name says ${argv.name}, and ${argv.f} is for ${content.name ?? DEFAULT_AGENT_NAME}`,
        "Give one.",
      );
    people.step(`connecting to ${argv.host}`);
    await using login = await logInToBuildServer(argv, context, people);
    const { host } = login.login;
    await using server = await connectBuildServer(login, argv, context, people);
    const isMeantAlone = subcommand === "attach" || subcommand === "logs" || subcommand === "upgrade";
    const name =
      given ??
      (isMeantAlone && content === undefined && argv.session === undefined
        ? soleAgent(await server.look(DEFAULT_AGENT_NAME), host)
        : DEFAULT_AGENT_NAME);
    const run: AgentRun = {
      ...{ argv, context, people, login, server, name, host, file, content },
      store: new AgentStore(host, name, stateFolder(env)),
      answer,
    };
    return await agentCommands[subcommand](run);
  } catch (error) {
    const coded = toCodedError(error);
    people.error(coded);
    return exitCodeOf(coded, interrupts.first);
  } finally {
    await Promise.all([people.close(), answer.flush(2000)]);
  }
}
