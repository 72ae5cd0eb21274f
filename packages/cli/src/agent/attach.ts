import { setTimeout as wait } from "node:timers/promises";
import { attachedHops, type HostPeer, lend } from "@farside/orchestrator";
import {
  CodedError,
  describeInstalled,
  type InstalledConfig,
  type InstalledDescription,
  isCodedError,
  type SessionEvent,
} from "@farside/protocol";
import type { AgentRun } from "./agent-commands.ts";

/** What opening may take, where nothing fails. A person at the card does not count as the machines' time, but is waited for no longer. */
const OPEN_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 200;
/** Where the agent is started again meanwhile. */
const AGAIN_AFTER_MS = 1_000;

interface Attachment {
  /** What this workstation signs for. */
  readonly config: InstalledConfig;
  /** The agent's control socket on the host. */
  readonly control: string;
}

/** Lends the identity until each forward is open or has failed; resolves with how they are then. */
export async function lendUntilOpen(run: AgentRun, attachment: Attachment): Promise<InstalledDescription> {
  const { people, server, login, context } = run;
  const { signal } = context.interrupts;
  people.step("opening the forwards");
  if (attachedHops(attachment.config).length === 0) {
    await using agent = await server.attach(attachment.control);
    return await untilSettled(agent, signal);
  }
  await using loan = await lend({ ...attachment, server, identity: login.identity, emit: tell(run), signal });
  return await untilSettled(loan.agent, signal);
}

/** `attach`: until Ctrl-C, or with `--once` until every hop is logged in to. */
export async function attachUntilEnd(run: AgentRun, attachment: Attachment): Promise<number> {
  const { argv, context, people, name, host, answer } = run;
  const { interrupts } = context;
  if (argv.once === true) {
    const { forwards } = await lendUntilOpen(run, attachment);
    const waiting = forwards.filter(({ state: { phase } }) => phase !== "open");
    if (argv.json === true) answer.json({ agent: name, host, attached: false, forwards });
    for (const { id, state } of waiting)
      people.warn(`${id} is not open: ${state.lastError?.message ?? state.waitsFor ?? state.phase}`);
    if (waiting.length === 0) return 0;
    throw new CodedError(
      "hop.unreachable",
      `attaching to the agent ${name} on ${host}: not every forward is open`,
      { leg: "hop" },
    );
  }
  let isLost = false;
  void run.login.chain.last.closed.then(() => {
    isLost = true;
  });
  while (!interrupts.signal.aborted) {
    try {
      await using loan = await lend({
        ...attachment,
        ...{ server: run.server, identity: run.login.identity, emit: tell(run), signal: interrupts.signal },
      });
      people.log(
        "info",
        `attached to the agent ${name} on ${host}: hops that need a signature get it, until Ctrl-C`,
      );
      if (argv.json === true)
        answer.json({ agent: name, host, attached: true, waitingHops: loan.waitingHops });
      const aborted = new Promise((resolve) =>
        interrupts.signal.addEventListener("abort", resolve, { once: true }),
      );
      await Promise.race([loan.agent.closed, aborted, run.login.chain.last.closed]);
    } catch (error) {
      if (interrupts.signal.aborted) break;
      if (!isCodedError(error) || error.code !== "agent.gone") throw error;
    }
    if (interrupts.signal.aborted) break;
    if (isLost) throw new CodedError("hop.lost", `the connection to ${host} was lost`, { leg: "jump" });
    people.warn(`the agent ${name} is gone, and waited for`);
    await wait(AGAIN_AFTER_MS, undefined, { signal: interrupts.signal }).catch(() => undefined);
  }
  // Ctrl-C is its proper end.
  return 0;
}

async function untilSettled(agent: HostPeer, signal: AbortSignal): Promise<InstalledDescription> {
  const until = performance.now() + OPEN_TIMEOUT_MS;
  for (;;) {
    const description = await agent.ask(describeInstalled, {}, signal);
    const isUnderWay = ({ state }: InstalledDescription["forwards"][number]) =>
      state.phase === "needs-signature" || (state.phase === "opening" && state.lastError === undefined);
    if (!description.forwards.some(isUnderWay) || performance.now() > until) return description;
    await wait(POLL_INTERVAL_MS, undefined, { signal });
  }
}

function tell({ people }: AgentRun) {
  return (event: object) => people.event({ ...event, at: new Date().toISOString() } as SessionEvent);
}
