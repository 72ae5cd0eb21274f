import type { AgentDescription, OrchestratorHello } from "@farside/protocol";
import { abortable, CodedError } from "@farside/protocol";
import type { AuditTrail } from "@farside/protocol/audit";
import type { Identity } from "@farside/ssh";
import type { AgentLink } from "../agent-link.ts";
import type { AgentBundle, Deployment } from "../deploy.ts";
import { endAgent } from "../end-agent.ts";
import { type ForwardCounters, sumCounters } from "../forward-counters.ts";
import { firstForward, type OpenForwardsOptions, openForwards } from "../open-forwards.ts";
import type { RemoteCommand, RunOptions } from "../remote-command.ts";
import type { RuntimeChoice } from "../runtime/runtime-choice.ts";
import type { SessionFolder } from "../session-folder.ts";
import type { StartDeadline } from "../start-deadline.ts";
import type { EndOptions, Engine, EngineContext, OpenOptions } from "./engine.ts";
import { startAgent } from "./start-agent.ts";

export interface AgentEngineOptions {
  readonly bundle: AgentBundle;
  readonly remoteNode?: string | undefined;
  /** For a host without a Node.js that fits; undefined: such a host is refused. */
  readonly runtime?: RuntimeChoice | undefined;
  readonly hello: Omit<OrchestratorHello, "protocol" | "capabilities" | "session">;
  /** Signs for hops of the route; borrowed. */
  readonly identity: Pick<Identity, "sign" | "ready">;
  readonly onAgentLog?: ((line: string) => void) | undefined;
  readonly folder: SessionFolder;
  /** Where it is written down that an agent is sent. */
  readonly audit: Pick<AuditTrail, "append">;
  /** Told how far the start has come. */
  readonly startDeadline: Pick<StartDeadline, "reached" | "during">;
  readonly forwarding: Omit<OpenForwardsOptions["plan"], "host" | "folder">;
}

/** The engine that farside is about: its own agent, put on the jump host in memory, listens there and logs in to the hops. */
export class AgentEngine implements Engine {
  readonly #options: AgentEngineOptions;
  readonly #context: EngineContext;
  #deployment: Deployment | undefined;
  #link: AgentLink | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: AgentEngineOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
  }

  get counters(): ForwardCounters {
    return sumCounters([...(this.#link?.counters.values() ?? [])]);
  }

  /** What the login printed before the agent; harmless. */
  get noise(): string {
    return this.#deployment?.noise ?? "";
  }

  async start(signal: AbortSignal): Promise<void> {
    const { bundle, forwarding } = this.#options;
    const opening = firstForward(forwarding, this.#context.route);
    const onDeployed = (deployment: Deployment) => {
      this.#deployment = deployment;
    };
    const { link } = await startAgent({ bundle, opening }, this.#options, this.#context, {
      onDeployed,
      signal,
    });
    this.#link = link;
    void link.closed.then((failure) => failure && this.#context.onFailure(failure));
    signal.throwIfAborted();
  }

  async open({ onOpen, signal }: OpenOptions): Promise<void> {
    const { forwarding, folder } = this.#options;
    const { host, route } = this.#context;
    const plan = { ...forwarding, host, folder };
    await abortable(
      openForwards({ plan, link: this.link, route, isFirstAsked: true, signal, onOpen }),
      signal,
    );
  }

  async describe(signal: AbortSignal): Promise<AgentDescription> {
    return this.link.describe(signal);
  }

  run(argv: readonly string[], options: RunOptions): RemoteCommand {
    return this.link.run(argv, options);
  }

  end(options: EndOptions): Promise<void> {
    this.#ending ??= this.#end(options);
    return this.#ending;
  }

  async #end(options: EndOptions): Promise<void> {
    const [link, deployment] = [this.#link, this.#deployment];
    if (link === undefined || deployment === undefined) return deployment?.stream.close();
    await endAgent({ ...options, link, ended: deployment.ended });
  }

  /** The control channel. Throws `agent.gone` before `start` has resolved. */
  get link(): AgentLink {
    if (this.#link === undefined) throw new CodedError("agent.gone", "there is no agent", { leg: "jump" });
    return this.#link;
  }
}
