import {
  type AgentStore,
  applyForwards,
  attachedHops,
  type BuildServer,
  compileForwards,
  controlOf,
  differenceTo,
  type ForwardsFileContent,
  findInstallation,
  installAgent,
  loginOf,
  noteInstalled,
  readForwardsFile,
  stateFolder,
  uninstallAgent,
  upgradeAgent,
} from "@farside/orchestrator";
import { CodedError, type HostLook, type InstalledConfig, type SessionEvent } from "@farside/protocol";
import type { CommandContext } from "../command-context.ts";
import type { AgentArguments, AgentSubcommand } from "../commands/agent.ts";
import type { Answer } from "../output/answer.ts";
import { times } from "../output/describe-event.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";
import type { AgentLogin } from "./agent-login.ts";
import { attachUntilEnd, lendUntilOpen } from "./attach.ts";
import { changeLines, forwardLines, lingeringLine } from "./describe-agent.ts";
import type { ForwardsText } from "./read-forwards-text.ts";
import { showLogs } from "./show-logs.ts";
import { showStatus } from "./show-status.ts";

/** Everything that a subcommand needs. */
export interface AgentRun {
  readonly argv: AgentArguments;
  readonly context: CommandContext;
  readonly people: PeopleReporter;
  readonly login: AgentLogin;
  readonly server: BuildServer;
  readonly store: AgentStore;
  /** The agent that is meant. */
  readonly name: string;
  /** `user@host`. */
  readonly host: string;
  /** `-f`. */
  readonly file: ForwardsText | undefined;
  readonly content: ForwardsFileContent | undefined;
  readonly answer: Answer;
}

const APPLY_GRACE_MS = 10_000;
const UPGRADE_GRACE_MS = 3_600_000;
const LEFTOVERS_EXIT_CODE = 75;

export const agentCommands: Readonly<Record<AgentSubcommand, (run: AgentRun) => Promise<number>>> = {
  install,
  apply,
  attach,
  status: showStatus,
  logs: showLogs,
  upgrade,
  uninstall,
};

async function install(run: AgentRun): Promise<number> {
  const { argv, people, server, store, name, host, login, file, answer, context } = run;
  const { signal } = context.interrupts;
  const config = await compile(run);
  let look = await server.look(name);
  const existing = look.installed.find((each) => each.name === name);
  if (existing?.isRunning === true) {
    people.warn(`the agent ${name} is installed on ${host} already: it is brought up to date`);
    return (await applyTo(run, look, config)) || (await upgradeTo(run, look, config));
  }
  if (existing !== undefined) {
    people.warn(`the agent ${name} on ${host} does not run (${existing.state}): it is installed anew`);
    await uninstallAgent({ server, hop: login.chain.last, installation: existing, name, store, signal });
    look = await server.look(name);
  }
  people.step(`installing the agent ${name}`);
  const { supervisor, digest, control, warnings } = await installAgent({
    ...{ server, look, config, store, supervisor: argv.supervisor, signal },
    record: { jump: argv.host, host, login: recordedLogin(login), forwards: file?.text ?? "" },
  });
  await noteInstalled({ host, agent: name }, digest, stateFolder(context.env));
  for (const warning of warnings) people.warn(warning);
  const isOpen = await lendUntilOpen(run, { config, control });
  if (argv.json === true) {
    answer.json({
      agent: name,
      host,
      installed: true,
      supervisor,
      digest,
      lingering: look.isLingering,
      forwards: isOpen.forwards,
    });
  } else {
    const keeper = supervisor === "systemd" ? "by systemd" : "by a supervisor of its own";
    answer.line(`agent ${name} on ${host}: installed, kept running ${keeper}`);
    // Where it is off, a warning has said so.
    if (supervisor === "systemd" && look.isLingering) answer.line(`  ${lingeringLine(look)}`);
    for (const line of forwardLines(isOpen)) answer.line(line);
  }
  return 0;
}

async function apply(run: AgentRun): Promise<number> {
  const config = await compile(run);
  return applyTo(run, await run.server.look(run.name), config);
}

async function applyTo(run: AgentRun, look: HostLook, config: InstalledConfig): Promise<number> {
  const { argv, server, store, name, host, login, file, answer, people, context } = run;
  const { signal } = context.interrupts;
  const installation = findInstallation(look, name, host);
  const control = controlOf(installation, host);
  await using agent = await server.attach(control);
  const difference = await differenceTo(agent, config, signal);
  const isDry = argv["dry-run"] === true;
  if (argv.json === true && isDry) answer.json({ agent: name, host, applied: false, ...difference });
  if (argv.json !== true) for (const line of changeLines(difference)) answer.line(line);
  if (isDry) return 0;
  await store.write({
    ...{ version: 1, name, jump: argv.host, host, login: recordedLogin(login), run: installation.run },
    forwards: file?.text ?? "",
  });
  if (difference.isEmpty) {
    if (argv.json === true) answer.json({ agent: name, host, applied: true, changes: [] });
    return 0;
  }
  if (difference.metricsPort !== "unchanged" && !agent.hello.capabilities.includes("metrics"))
    people.warn(`the agent ${name} on ${host} is of a version without metrics-port: farside agent upgrade`);
  const { changes, metricsError } = await applyForwards(
    agent,
    { config, graceMs: argv.grace ?? APPLY_GRACE_MS },
    signal,
  );
  const failed = changes.filter(({ error }) => error !== undefined);
  for (const { id, error } of failed)
    people.warn(`${id} is not open yet, and tried again: ${error?.message}`);
  if (metricsError !== undefined)
    people.warn(`the port for metrics is not open yet, and tried again: ${metricsError.message}`);
  const description = await lendUntilOpen(run, { config, control });
  if (argv.json === true)
    answer.json({
      ...{ agent: name, host, applied: true, changes, forwards: description.forwards },
      ...(description.metrics && { metrics: description.metrics }),
    });
  else for (const line of forwardLines(description)) answer.line(line);
  return 0;
}

async function attach(run: AgentRun): Promise<number> {
  const { server, name, host, people } = run;
  const installation = findInstallation(await server.look(name), name, host);
  const config = await ownConfig(run);
  if (config === undefined)
    throw new CodedError(
      "config.invalid",
      `attaching to the agent ${name} on ${host}: this workstation does not know what it may sign for`,
      {
        hint: "Give the agent's forwards.yaml with -f: what the build server says about it does not count.",
      },
    );
  const unknown = attachedHops(installation.config ?? { forwards: [] }).filter(
    ({ hopId }) => !attachedHops(config).some((hop) => hop.hopId === hopId),
  );
  for (const { user, host: hop } of unknown)
    people.warn(
      `the build server has a hop ${user}@${hop} that this workstation's forwards.yaml does not have: nothing is signed for it`,
    );
  return attachUntilEnd(run, { config, control: controlOf(installation, host) });
}

async function upgrade(run: AgentRun): Promise<number> {
  return upgradeTo(run, await run.server.look(run.name), await ownConfig(run));
}

async function upgradeTo(
  run: AgentRun,
  look: HostLook,
  config: InstalledConfig | undefined,
): Promise<number> {
  const { argv, server, name, host, people, answer, context, login } = run;
  const installation = findInstallation(look, name, host);
  const needed = attachedHops(installation.config ?? { forwards: [] }).length;
  if (config === undefined && needed > 0)
    throw new CodedError(
      "config.invalid",
      `upgrading the agent ${name} on ${host}: ${times(needed, "hop needs", "hops need")} a signature, and this workstation does not know for what`,
      {
        hint: "Give the agent's forwards.yaml with -f.",
      },
    );
  people.step(`upgrading the agent ${name}`);
  const result = await upgradeAgent({
    ...{ server, installation, config, identity: async () => login.identity },
    graceMs: argv.grace ?? UPGRADE_GRACE_MS,
    emit: (event) => people.event({ ...event, at: new Date().toISOString() } as SessionEvent),
    signal: context.interrupts.signal,
  });
  const { outcome, digest } = result;
  if (argv.json === true) {
    const now =
      result.outcome === "upgraded" ? { pid: result.pid, forwards: result.description.forwards } : {};
    answer.json({ agent: name, host, upgraded: outcome === "upgraded", digest, ...now });
    return 0;
  }
  answer.line(
    outcome === "current"
      ? `agent ${name} on ${host}: is of this version already`
      : `agent ${name} on ${host}: upgraded, no connection was refused`,
  );
  if (result.outcome === "upgraded") for (const line of forwardLines(result.description)) answer.line(line);
  return 0;
}

async function uninstall(run: AgentRun): Promise<number> {
  const { argv, server, store, name, host, login, people, answer, context } = run;
  const { installed } = await server.look(name);
  const installation = installed.find((each) => each.name === name);
  // Whether it was ever there decides between idempotent and mistaken.
  if (installation === undefined && installed.length > 0 && argv.name === undefined)
    findInstallation({ installed }, name, host);
  if (installation === undefined) people.warn(`no agent ${name} is installed on ${host}: nothing to stop`);
  else people.step(`uninstalling the agent ${name}`);
  const { signal } = context.interrupts;
  const hop = login.chain.last;
  const receipt = await uninstallAgent({ server, hop, installation, name, store, signal });
  if (argv.json === true) answer.json({ ...receipt, agent: name });
  people.event({ event: "receipt", at: new Date().toISOString(), ...receipt });
  return receipt.clean ? 0 : LEFTOVERS_EXIT_CODE;
}

/** What this workstation makes of `-f`, or of what it applied last: host keys are those of its known_hosts now. */
async function ownConfig(run: AgentRun): Promise<InstalledConfig | undefined> {
  const { content, store } = run;
  if (content !== undefined) return compile(run);
  const record = await store.read();
  return record === undefined
    ? undefined
    : compile({ ...run, content: readForwardsFile(record.forwards, "the forwards.yaml of the last apply") });
}

function compile({ content, login, people, argv, context }: AgentRun): Promise<InstalledConfig> {
  if (content === undefined) throw new Error("no forwards.yaml");
  const { jump, hostKeys } = login.login;
  return compileForwards(content, {
    jump,
    hostKeys: { ...hostKeys, onWarning: (text) => people.warn(text) },
    resolve: { configFile: argv.F, signal: context.interrupts.signal },
  });
}

function recordedLogin({ options, identityNote }: AgentLogin) {
  return loginOf({ ...options, forwards: [], identityNote });
}
