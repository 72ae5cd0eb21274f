import {
  controlOf,
  findInstallation,
  type HostAudit,
  knownHostPlaces,
  noteHostAudit,
  stateFolder,
} from "@farside/orchestrator";
import { describeInstalled, toCodedError } from "@farside/protocol";
import type { ChainHead } from "@farside/protocol/audit";
import type { AgentRun } from "./agent-commands.ts";
import { forwardLines, installationLines, lingeringLine } from "./describe-agent.ts";

/** `farside agent status`: the agents of a host, or the one that was named, and what each does. */
export async function showStatus(run: AgentRun): Promise<number> {
  const { argv, server, name, host, answer, context } = run;
  const look = await server.look(name);
  const { installed, isLingering } = look;
  const wanted = argv.name === undefined ? installed : [findInstallation({ installed }, name, host)];
  if (wanted.length === 0 && argv.json !== true) answer.line(`no agent on ${host}`);
  for (const installation of wanted) {
    let description: Parameters<typeof forwardLines>[0] | undefined;
    if (installation.isRunning) {
      await using agent = await server.attach(controlOf(installation, host));
      description = await agent.ask(describeInstalled, {}, context.interrupts.signal);
      const of = { host, agent: installation.name };
      if (description.audit !== undefined) await noteAudit(run, of, description.audit);
    }
    const { config: _, ...facts } = installation;
    if (argv.json === true) {
      const { config: __, ...now } = description ?? {};
      answer.json({ agent: facts.name, host, ...facts, lingering: isLingering, ...now });
      continue;
    }
    for (const line of installationLines(installation, host)) answer.line(line);
    if (installation.supervisor === "systemd") answer.line(`  ${lingeringLine(look)}`);
    if (description !== undefined) for (const line of forwardLines(description)) answer.line(line);
  }
  return 0;
}

/** Writes down the newest line of an agent's audit log. One that comes before what was seen already shows that it was cut off. */
async function noteAudit({ people, context }: AgentRun, of: HostAudit, newest: ChainHead): Promise<void> {
  const root = stateFolder(context.env);
  const seen = (await knownHostPlaces(of, root)).reduce<ChainHead | undefined>(
    (latest, place) => (latest === undefined || place.seq >= latest.seq ? place : latest),
    undefined,
  );
  const isBehind = seen !== undefined && newest.seq < seen.seq;
  const isOther = seen !== undefined && newest.seq === seen.seq && newest.hash !== seen.hash;
  if (isBehind || isOther)
    people.warn(
      `the audit log of ${of.agent} on ${of.host} ends with line ${newest.seq}, and line ${seen.seq} was seen before: farside audit verify --agent ${of.host}/${of.agent}`,
    );
  // What the host has is asked for to be seen, whatever can be kept of it here.
  await noteHostAudit(of, newest, root).catch((error: unknown) => {
    people.warn(`${toCodedError(error).message}; what was seen of ${of.host}'s audit log is not kept`);
  });
}
