import { agentReady } from "../agent-events.ts";
import { AgentLink } from "../agent-link.ts";
import { type AgentBundle, type Deployment, deploy } from "../deploy.ts";
import type { Heartbeat } from "../heart.ts";
import type { LinkMemory } from "../link-memory.ts";
import { LogLines } from "../log-lines.ts";
import { runtimeFor } from "../runtime/runtime-choice.ts";
import { deployEntry } from "../session-audit.ts";
import type { UndoEntry } from "../session-store.ts";
import type { AgentEngineOptions } from "./agent-engine.ts";
import type { EngineContext } from "./engine.ts";

/** What kind of agent is started, and how its channel is kept. */
export interface AgentKind {
  readonly bundle: AgentBundle;
  /** What the bundle is to do, where it has several jobs. */
  readonly job?: Readonly<Record<string, string>> | undefined;
  /** What it makes besides processes. */
  readonly makes?: readonly UndoEntry[] | undefined;
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
  const { bundle, job, makes = [], memory, heartbeat } = kind;
  const startedAt = performance.now();
  const log = onAgentLog && new LogLines(onAgentLog);
  const deployment = await deploy({
    ...{ hop, host, bundle, job, remoteNode, signal },
    runtime: runtime && runtimeFor(runtime, { emit, folder, startDeadline, signal }),
    onLog: log && ((chunk) => log.push(chunk)),
    onStage: (stage) => startDeadline.reached(stage),
    onStart: async (nonce) => {
      for (const entry of [{ made: "agent", nonce } as const, ...makes]) await folder.making(entry);
      folder.update({ nonce });
      audit.append(deployEntry({ name: session, host }, nonce, bundle.digest));
    },
    onNotStarted: (nonce) => folder.undone({ made: "agent", nonce }),
  });
  onDeployed(deployment);
  const link = await AgentLink.connect({
    ...{ stream: deployment.stream, host, digest: bundle.digest, identity, memory, heartbeat },
    ...{ hello: { ...hello, session }, emit, signal },
  });
  startDeadline.reached(undefined);
  const durationMs = Math.round(performance.now() - startedAt);
  folder.update({ agentPid: link.hello.pid });
  emit(agentReady(link.hello, host, { bytes: deployment.uploadBytes, durationMs }));
  return { deployment, link };
}
