import { type AgentDescription, abortable, CodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { AgentLink } from "../agent-link.ts";
import { type AgentBundle, type Deployment, deploy } from "../deploy.ts";
import { endAgent } from "../end-agent.ts";
import { type ForwardCounters, sumCounters } from "../forward-counters.ts";
import { formatBind } from "../forward-spec.ts";
import type { Heartbeat } from "../heart.ts";
import { type LinkMemory, newLinkMemory } from "../link-memory.ts";
import { openForwards } from "../open-forwards.ts";
import { recordedBind } from "../recorded-bind.ts";
import type { RemoteCommand } from "../remote-command.ts";
import { runtimeFor } from "../runtime/runtime-choice.ts";
import type { AgentEngineOptions } from "./agent-engine.ts";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "./engine.ts";
import { type StartedAgent, startAgent } from "./start-agent.ts";

/** Often enough that a dead link is noticed before the operator does. */
const MAX_INTERVAL_MS = 3_000;
const MAX_SILENCE_MS = 6_000;

export interface ResidentEngineOptions extends AgentEngineOptions {
  /** What reaches the agent's control socket again. */
  readonly bridge: AgentBundle;
  /** Loopback port on which the agent answers for its metrics, too; 0 takes a free one. Default: none. */
  readonly metricsPort?: number | undefined;
}

/** An agent that goes on for its lease when the way to it is lost, or for its ttl when it is left to itself. */
export class ResidentEngine implements Engine {
  readonly #options: ResidentEngineOptions;
  readonly #context: EngineContext;
  readonly #memory: LinkMemory;
  readonly #heartbeat: Heartbeat;
  /** The way to the agent now. */
  #current: Partial<StartedAgent> = {};
  /** What is known of the agent since its first hello. */
  #known: { readonly nonce: string; readonly pid: number; readonly control: string } | undefined;
  #ending: Promise<void> | undefined;

  /** `options.bundle` is the resident agent's. */
  constructor(options: ResidentEngineOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
    this.#memory = newLinkMemory(context.emit);
    const { leaseMs } = options.hello;
    this.#heartbeat = {
      intervalMs: Math.min(leaseMs / 6, MAX_INTERVAL_MS),
      silenceMs: Math.min(leaseMs / 3, MAX_SILENCE_MS),
    };
  }

  get counters(): ForwardCounters {
    return sumCounters([...this.#memory.counters.values()]);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { bundle } = this.#options;
    const { session, host } = this.#context;
    const kind = {
      ...{ bundle, job: { job: "launch", session }, memory: this.#memory, heartbeat: this.#heartbeat },
      makes: [{ made: "control", session } as const],
    };
    const onDeployed = (deployment: Deployment) => {
      this.#current = { deployment };
    };
    const started = await startAgent(kind, this.#options, this.#context, { onDeployed, signal });
    const { pid, resident } = started.link.hello;
    if (resident === undefined || resident.run !== started.deployment.nonce) {
      await started.link.close();
      throw new CodedError(
        "protocol.bad-message",
        `the agent on ${host} does not say where it can be found`,
        {
          leg: "jump",
        },
      );
    }
    this.#known = { nonce: resident.run, pid, control: resident.control };
    this.#take(started);
    signal.throwIfAborted();
  }

  async open({ onOpen, signal }: OpenOptions): Promise<void> {
    const { forwarding, folder } = this.#options;
    const { host, route } = this.#context;
    const plan = { ...forwarding, host, folder };
    // First: a port that is taken costs no signature.
    await this.#openMetrics(signal);
    await abortable(openForwards({ plan, link: this.#connected, route, signal, onOpen }), signal);
  }

  async #openMetrics(signal: AbortSignal): Promise<void> {
    const { metricsPort: port, folder, forwarding } = this.#options;
    const { host, emit } = this.#context;
    if (port === undefined) return;
    const { takeOver } = forwarding;
    const open = () => this.#connected.openMetrics({ port, ...(takeOver && { takeOver }) }, signal);
    const recording = { folder, host, signal };
    const bound = await abortable(recordedBind({ kind: "loopback", port }, open, recording), signal);
    const bind = bound.map(formatBind);
    folder.update({ metrics: bind });
    emit({ event: "metrics.open", bind });
  }

  async describe(signal: AbortSignal): Promise<AgentDescription> {
    return this.#connected.describe(signal);
  }

  run(): RemoteCommand {
    throw new CodedError("usage.invalid", "an agent that outlives its connection runs no commands");
  }

  readonly reattach = async (hop: Hop, signal: AbortSignal): Promise<void> => {
    const { bridge, bundle, remoteNode, runtime, hello, identity, folder, startDeadline } = this.#options;
    const { host, session, emit } = this.#context;
    const known = this.#known;
    if (known === undefined) throw new CodedError("agent.gone", "there is no agent", { leg: "jump" });
    const { nonce, control, pid } = known;
    const deployment = await deploy({
      ...{ hop, host, bundle: bridge, nonce, job: { control }, remoteNode, signal },
      runtime: runtime && runtimeFor(runtime, { emit, folder, startDeadline, signal }),
    });
    let link: AgentLink | undefined;
    try {
      link = await AgentLink.connect({
        ...{ stream: deployment.stream, host, digest: bundle.digest, identity, emit, signal },
        ...{ hello: { ...hello, session }, memory: this.#memory, heartbeat: this.#heartbeat },
      });
      if (link.hello.resident?.run !== nonce || link.hello.pid !== pid) {
        throw new CodedError("agent.gone", `another agent has taken the place of the one on ${host}`, {
          leg: "jump",
        });
      }
      await link.renewLease(signal);
      await this.#count(link, signal);
    } catch (error) {
      await (link ?? deployment.stream).close();
      throw error;
    }
    this.#take({ deployment, link });
  };

  readonly detach = async (signal: AbortSignal): Promise<void> => {
    const link = this.#connected;
    await link.detach(signal);
    this.#ending = Promise.resolve();
    await link.close();
  };

  end(options: EndOptions): Promise<void> {
    this.#ending ??= this.#end(options);
    return this.#ending;
  }

  async #end(options: EndOptions): Promise<void> {
    const { link, deployment } = this.#current;
    if (link === undefined || deployment === undefined) return deployment?.stream.close();
    await endAgent({ ...options, link, ended: deployment.ended });
  }

  #take(started: StartedAgent): void {
    const { link } = started;
    this.#current = started;
    void link.closed.then((failure) => {
      if (failure === undefined || this.#current.link !== link) return;
      if (link.isLostOnly) this.#context.onLinkLost(failure);
      else this.#context.onFailure(failure);
    });
  }

  /** Events of the time without a link may be lost with it; the agent has counted. Bytes stay those of ended relays that were told. */
  async #count(link: AgentLink, signal: AbortSignal): Promise<void> {
    const { forwards } = await link.describe(signal);
    for (const { forwardId, openRelays, totalRelays, refusedRelays } of forwards) {
      const counters = this.#memory.counters.get(forwardId);
      if (counters !== undefined) Object.assign(counters, { openRelays, totalRelays, refusedRelays });
    }
  }

  get #connected(): AgentLink {
    const { link } = this.#current;
    if (link === undefined) throw new CodedError("agent.gone", "there is no agent", { leg: "jump" });
    return link;
  }
}
