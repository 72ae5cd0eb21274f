import { isCodedError } from "@farside/protocol";
import { agentReady } from "../agent-events.ts";
import { AgentLink } from "../agent-link.ts";
import { type AgentBundle, type Deployment, deploy } from "../deploy.ts";
import { encodeOpening, type ForwardRequest } from "../forward-request.ts";
import type { Heartbeat } from "../heart.ts";
import type { LinkMemory } from "../link-memory.ts";
import { LogLines } from "../log-lines.ts";
import { runtimeFor } from "../runtime/runtime-choice.ts";
import { deployEntry } from "../session-audit.ts";
import type { UndoEntry } from "../session-record.ts";
import type { AgentEngineOptions } from "./agent-engine.ts";
import type { EngineContext } from "./engine.ts";

/** What kind of agent is started, and how its channel is kept. */
export interface AgentKind {
  readonly bundle: AgentBundle;
  /** What the bundle is to do, where it has several jobs. */
  readonly job?: Readonly<Record<string, string>> | undefined;
  /** What it makes besides processes. */
  readonly makes?: readonly UndoEntry[] | undefined;
  /** The first forward, which is asked behind the bundle, and what it makes. */
  readonly opening?: { readonly request: ForwardRequest; readonly makes: readonly UndoEntry[] } | undefined;
  readonly memory?: LinkMemory | undefined;
  readonly heartbeat?: Heartbeat | undefined;
}

/** An agent that has said hello. */
export interface StartedAgent {
  readonly deployment: Deployment;
  readonly link: AgentLink;
}

/**
 * Sends an agent and says hello to it; writes down what it may leave before it does, and tells the session of it. `onDeployed` gets
 * what is to be closed, should the rest fail.
 */
export async function startAgent(
  kind: AgentKind,
  options: AgentEngineOptions,
  { hop, host, session, emit }: EngineContext,
  { onDeployed, signal }: { onDeployed: (deployment: Deployment) => void; signal: AbortSignal },
): Promise<StartedAgent> {
  const { remoteNode, runtime, folder, audit, startDeadline, identity, hello, onAgentLog } = options;
  const { bundle, job, makes = [], opening, memory, heartbeat } = kind;
  const told = { ...hello, session };
  const startedAt = performance.now();
  const log = onAgentLog && new LogLines(onAgentLog);
  const deployment = await deploy({
    ...{ hop, host, bundle, job, remoteNode, signal },
    opening: opening && encodeOpening(told, opening.request),
    runtime: runtime && runtimeFor(runtime, { emit, folder, startDeadline, signal }),
    onLog: log && ((chunk) => log.push(chunk)),
    onStage: (stage) => startDeadline.reached(stage),
    onStart: async (nonce) => {
      const made = [{ made: "agent", nonce } as const, ...makes, ...(opening?.makes ?? [])];
      for (const entry of made) await folder.making(entry);
      folder.update({ nonce });
      audit.append(deployEntry({ name: session, host }, nonce, bundle.digest));
    },
    onNotStarted: (nonce) => folder.undone({ made: "agent", nonce }),
  }).catch(async (error: unknown) => {
    // No agent has run, so it listens nowhere; of a link that broke nobody knows.
    const hasNotRun = isCodedError(error) && error.code.startsWith("agent.") && !signal.aborted;
    for (const entry of hasNotRun ? (opening?.makes ?? []) : []) await folder.undone(entry);
    throw error;
  });
  onDeployed(deployment);
  const link = await AgentLink.connect({
    ...{ stream: deployment.stream, host, digest: bundle.digest, identity, memory, heartbeat },
    ...{ hello: told, opening: opening?.request, emit, signal },
    onHello: (agent) => {
      startDeadline.reached(undefined);
      const durationMs = Math.round(performance.now() - startedAt);
      folder.update({ agentPid: agent.pid });
      emit(agentReady(agent, host, { bytes: deployment.uploadBytes, durationMs }));
    },
  });
  return { deployment, link };
}
