import {
  type AgentDescription,
  type AgentHello,
  abortable,
  agentHello,
  type BindAddress,
  CodedError,
  describeAgent,
  describeHost,
  detachAgent,
  type HostDescription,
  isCodedError,
  type MessageStream,
  on,
  openForward,
  openMetrics,
  orchestratorHello,
  type ParamsOf,
  Peer,
  probeBind,
  probeRoute,
  type RequestOptions,
  type ResultOf,
  renewLease,
  stopAgent,
  type TargetAddress,
} from "@farside/protocol";
import type { Identity } from "@farside/ssh";
import { agentEvents } from "./agent-events.ts";
import { checkHello, goneBeforeHello, named } from "./agent-hello.ts";
import { delegatedReadiness } from "./delegated-readiness.ts";
import { delegatedSigning } from "./delegated-signing.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { type ForwardCounters, zeroCounters } from "./forward-counters.ts";
import { declarations, type ForwardRequest, forwardParams, type OurHello } from "./forward-request.ts";
import { Heart, type Heartbeat } from "./heart.ts";
import { declare, type LinkFacts, type LinkMemory, newLinkFacts, newLinkMemory } from "./link-memory.ts";
import { type RemoteCommand, RemoteCommands, type RunOptions } from "./remote-command.ts";

export interface AgentLinkOptions {
  /** Owned by the link. */
  readonly stream: MessageStream;
  /** `user@host` of the jump host, for messages. */
  readonly host: string;
  /** SHA-256 that the agent must name as its own. */
  readonly digest: string;
  /** What the agent is told once it has said hello. */
  readonly hello: OurHello;
  /** Borrowed: asked only for what the destination guard accepts. */
  readonly identity: Pick<Identity, "sign" | "ready">;
  readonly emit: (event: SessionEventDraft) => void;
  /** Default: that of an agent with one channel. */
  readonly memory?: LinkMemory | undefined;
  /** Default: every third of the lease, and a whole one. */
  readonly heartbeat?: Heartbeat | undefined;
  /** What the agent was told and asked already, behind its bundle: our hello and this forward; see `encodeOpening`. */
  readonly opening?: ForwardRequest | undefined;
  /** Hears of the agent once its hello has been checked, and before anything else of it. */
  readonly onHello?: ((hello: AgentHello) => void) | undefined;
  /** Bounds the wait for the agent's hello, and for the answer to what was asked already. */
  readonly signal: AbortSignal;
}

/**
 * The control channel to one agent, which is hostile until proven otherwise: everything is validated, every signature goes
 * through the destination guard, the lease is renewed, and silence for a whole lease is the end (`agent.gone`).
 */
export class AgentLink implements AsyncDisposable {
  readonly hello: AgentHello;
  /** Resolves when the channel is closed: undefined after `stop` or `close`, else why. Never rejects. */
  readonly closed: Promise<CodedError | undefined>;
  readonly #peer: Peer;
  readonly #commands: RemoteCommands;
  readonly #facts: LinkFacts;
  readonly #host: string;
  #asked: Greeting["asked"];

  /** Says hello both ways. Rejects with `protocol.*`, `agent.digest-mismatch`, `agent.gone` or the signal's reason. */
  static async connect(options: AgentLinkOptions): Promise<AgentLink> {
    const { emit, host, opening, signal } = options;
    const memory = options.memory ?? newLinkMemory(emit);
    const { guard, hops, counters } = memory;
    const facts = newLinkFacts(memory);
    let greet: (greeting: Greeting) => void = () => {};
    let giveUp: (error: unknown) => void = () => {};
    const greeting = new Promise<Greeting>((resolve, reject) => {
      greet = resolve;
      giveUp = reject;
    });
    // Within the event, so that no message behind the hello is looked at before the hello was, and none is refused behind a good one.
    let hasMet = false;
    const meet = (hello: AgentHello) => {
      if (hasMet) return;
      hasMet = true;
      try {
        const protocol = checkHello(hello, options);
        options.onHello?.(hello);
        if (opening === undefined) {
          peer.emit(orchestratorHello, { ...options.hello, protocol, capabilities: [] }, { keep: true });
          greet({ hello });
          return;
        }
        const bound = ask(peer, facts, opening, { signal, isSent: true });
        bound.catch(() => {});
        greet({ hello, asked: { forwardId: opening.forwardId, bound } });
      } catch (error) {
        giveUp(error);
        void peer.close();
      }
    };
    const commands = new RemoteCommands(() => peer);
    const peer = new Peer(options.stream, {
      requests: [
        delegatedSigning(guard, options.identity),
        delegatedReadiness(guard, options.identity),
        commands.handler,
      ],
      events: [
        on(agentHello, meet),
        ...agentEvents({
          host,
          emit,
          hop: (hopId) => hops.get(hopId),
          counters: (forwardId) => counters.get(forwardId),
          isMetricsAsked: () => facts.isMetricsAsked,
          onLie: (error) => fail(facts, peer, error),
          onEnding: (failure) => {
            facts.hasEnded = true;
            if (failure !== undefined) facts.failure ??= failure;
          },
        }),
      ],
    });
    void peer.closed.then((error) => giveUp(facts.failure ?? named(error, host) ?? goneBeforeHello(host)));
    try {
      return new AgentLink({ peer, commands }, await abortable(greeting, signal), facts, options);
    } catch (error) {
      await peer.close();
      throw isCodedError(error) && !signal.aborted ? named(error, host) : error;
    }
  }

  private constructor(
    { peer, commands }: { peer: Peer; commands: RemoteCommands },
    { hello, asked }: Greeting,
    facts: LinkFacts,
    options: AgentLinkOptions,
  ) {
    this.#peer = peer;
    this.#commands = commands;
    this.#facts = facts;
    this.#host = options.host;
    this.hello = hello;
    this.#asked = asked;
    this.closed = peer.closed.then((error) => this.#endReason(error));
    const heart = new Heart({
      host: options.host,
      heartbeat: options.heartbeat ?? Heart.heartbeatOf(options.hello.leaseMs),
      renew: (signal) => this.renewLease(signal),
      onSilence: (error) => fail(facts, peer, error),
    });
    void this.closed.then(() => heart[Symbol.dispose]());
  }

  /** The channel is lost, as far as is known, not the agent: it has said nothing of an end, and nothing that can't be. */
  get isLostOnly(): boolean {
    const { hasEnded, failure } = this.#facts;
    return !hasEnded && (failure === undefined || failure.code === "agent.gone");
  }

  /** What went through each forward so far. */
  get counters(): ReadonlyMap<string, Readonly<ForwardCounters>> {
    return this.#facts.counters;
  }

  /**
   * Opens a listener and the hops of its route, and resolves with what is bound; of the forward that was asked with the hello, it is the
   * first time the answer to that. From now on the guard accepts signatures for these hops. Rejects with what the agent says, or the signal's reason.
   */
  async openForward(forward: ForwardRequest, signal: AbortSignal): Promise<readonly BindAddress[]> {
    const asked = this.#asked;
    this.#asked = undefined;
    try {
      if (asked?.forwardId === forward.forwardId) return await abortable(asked.bound, signal);
      return await ask(this.#peer, this.#facts, forward, { signal });
    } catch (error) {
      // An agent that ends, or a channel that breaks, rejects what waits on it; what it was is known when the channel is closed.
      const isOfEnd = isCodedError(error) && /^(protocol\.|agent\.gone$|canceled$)/.test(error.code);
      if (!isOfEnd || signal.aborted) throw error;
      throw (await abortable(this.closed, signal)) ?? error;
    }
  }

  /** Has the agent answer for its metrics on a loopback port, too. Rejects as for a forward's listener, or with the signal's reason. */
  async openMetrics(
    params: ParamsOf<typeof openMetrics>,
    signal: AbortSignal,
  ): Promise<readonly BindAddress[]> {
    this.#facts.isMetricsAsked = true;
    return (await this.#peer.request(openMetrics, params, { signal })).bound;
  }

  /** Asks whether a listener could be opened at `bind`; rejects with why not, or the signal's reason. */
  async probeBind(bind: BindAddress, signal: AbortSignal): Promise<void> {
    await this.#peer.request(probeBind, { bind }, { signal });
  }

  /**
   * Has the hops of `route` logged in to, each target dialled once, and all of it closed; the guard accepts signatures for these hops
   * from now on. Rejects with what a hop fails with, or the signal's reason.
   */
  async probeRoute(
    route: readonly DeclaredHop[],
    targets: readonly TargetAddress[],
    signal: AbortSignal,
  ): Promise<ResultOf<typeof probeRoute>["targets"]> {
    declare(this.#facts, route);
    const params = { route: declarations(route), targets: [...targets] };
    return (await this.#peer.request(probeRoute, params, { signal })).targets;
  }

  /** What the host lets this login's processes do. */
  describeHost(signal: AbortSignal): Promise<HostDescription> {
    return this.#peer.request(describeHost, {}, { signal });
  }

  /** What the agent is and does now, with the bytes of open relays. */
  describe(signal: AbortSignal): Promise<AgentDescription> {
    return this.#peer.request(describeAgent, {}, { signal });
  }

  /** Starts the agent's lease anew. Answered, it also says that this is the channel of its orchestrator. */
  async renewLease(signal: AbortSignal): Promise<void> {
    await this.#peer.request(renewLease, {}, { signal });
  }

  /** The agent needs no orchestrator any more, until its ttl. Rejects with `config.invalid` where it has none. */
  async detach(signal: AbortSignal): Promise<void> {
    await this.#peer.request(detachAgent, {}, { signal });
    this.#facts.isStopping = true;
  }

  /** Runs a command on the jump host. Throws `usage.invalid`, and `agent.unsupported-host` where the agent can't. */
  run(argv: readonly string[], options: RunOptions): RemoteCommand {
    if (this.hello.capabilities.includes("command")) return this.#commands.run(argv, options);
    throw new CodedError("agent.unsupported-host", `the agent on ${this.#host} runs no commands`, {
      leg: "jump",
    });
  }

  /** Listeners close at once, relays within `graceMs`; resolves when that is done. The agent then ends by itself. */
  async stop(graceMs: number, signal: AbortSignal): Promise<void> {
    this.#facts.isStopping = true;
    await this.#peer.request(stopAgent, { graceMs }, { signal });
  }

  /** Ends the agent's stdin, which ends it without grace. Idempotent. */
  close(): Promise<void> {
    this.#facts.isStopping = true;
    return this.#peer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #endReason(error: CodedError | undefined): CodedError | undefined {
    const { failure, isStopping } = this.#facts;
    if (isStopping) return undefined;
    if (failure !== undefined) return failure;
    return (
      named(error, this.#host) ??
      new CodedError("agent.gone", `the agent on ${this.#host} ended without a word`, { leg: "jump" })
    );
  }
}

/** What an agent's hello makes known. */
interface Greeting {
  readonly hello: AgentHello;
  /** The answer to the forward that was asked with our hello. */
  readonly asked?: { readonly forwardId: string; readonly bound: Promise<readonly BindAddress[]> };
}

async function ask(
  peer: Peer,
  facts: LinkFacts,
  forward: ForwardRequest,
  options: RequestOptions,
): Promise<readonly BindAddress[]> {
  declare(facts, forward.route);
  facts.counters.set(forward.forwardId, zeroCounters());
  return (await peer.request(openForward, forwardParams(forward), options)).bound;
}

function fail(facts: LinkFacts, peer: Peer, error: CodedError): void {
  facts.failure ??= error;
  void peer.close();
}
