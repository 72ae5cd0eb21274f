import { controlOf, findInstallation, noteHostAudit, stateFolder } from "@farside/orchestrator";
import { describeInstalled } from "@farside/protocol";
import type { AgentRun } from "./agent-commands.ts";
import { forwardLines, installationLines, lingeringLine } from "./describe-agent.ts";

/** `farside agent status`: the agents of a host, or the one that was named, and what each does. */
export async function showStatus(run: AgentRun): Promise<number> {
  const { argv, server, name, host, print, context } = run;
  const look = await server.look(name);
  const { installed, isLingering } = look;
  const wanted = argv.name === undefined ? installed : [findInstallation({ installed }, name, host)];
  if (wanted.length === 0 && argv.json !== true) print(`no agent on ${host}`);
  for (const installation of wanted) {
    let description: Parameters<typeof forwardLines>[0] | undefined;
    if (installation.isRunning) {
      await using agent = await server.attach(controlOf(installation, host));
      description = await agent.ask(describeInstalled, {}, context.interrupts.signal);
      const { audit } = description;
      if (audit !== undefined)
        await noteHostAudit({ host, agent: installation.name }, audit, stateFolder(context.env));
    }
    const { config: _, ...facts } = installation;
    if (argv.json === true) {
      const { config: __, ...now } = description ?? {};
      print(JSON.stringify({ agent: facts.name, host, ...facts, lingering: isLingering, ...now }));
      continue;
    }
    for (const line of installationLines(installation, host)) print(line);
    if (installation.supervisor === "systemd") print(`  ${lingeringLine(look)}`);
    if (description !== undefined) for (const line of forwardLines(description)) print(line);
  }
  return 0;
}
