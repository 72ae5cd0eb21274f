import {
  type AgentHello,
  abortable,
  agentHello,
  CodedError,
  deadline,
  type EventHandler,
  isCodedError,
  type MessageStream,
  negotiate,
  on,
  type ParamsOf,
  Peer,
  PROTOCOL_VERSIONS,
  type RequestDefinition,
  type RequestHandler,
  type ResultOf,
} from "@farside/protocol";

const HELLO_TIMEOUT_MS = 15_000;
/** What an answer may take: systemd gives a start a minute. */
const ANSWER_TIMEOUT_MS = 120_000;

export interface HostPeerOptions {
  /** Owned. */
  readonly stream: MessageStream;
  /** `user@host`, for messages. */
  readonly host: string;
  /** What of the other side has to be there: `installer`, `installed`. */
  readonly capability: string;
  readonly requests?: readonly RequestHandler[];
  readonly events?: readonly EventHandler[];
  readonly signal: AbortSignal;
}

/** A channel to the installer or to an installed agent: both are hostile until validated, and neither has a lease. */
export class HostPeer implements AsyncDisposable {
  readonly hello: AgentHello;
  readonly closed: Promise<CodedError | undefined>;
  readonly peer: Peer;
  readonly #host: string;

  /** Resolves when it has said hello. Rejects with `protocol.*`, `agent.gone`, `agent.unsupported-host` or the signal's reason. */
  static async connect({
    stream,
    host,
    capability,
    requests = [],
    events = [],
    signal,
  }: HostPeerOptions): Promise<HostPeer> {
    let greet: (hello: AgentHello) => void = () => undefined;
    const greeting = new Promise<AgentHello>((resolve) => {
      greet = resolve;
    });
    const peer = new Peer(stream, { requests, events: [on(agentHello, greet), ...events] });
    const gone = peer.closed.then((error) => {
      throw (
        error ??
        new CodedError("agent.gone", `talking to the agent on ${host}: it ended before it said hello`, {
          leg: "jump",
        })
      );
    });
    gone.catch(() => undefined);
    const limit = deadline(HELLO_TIMEOUT_MS, `waiting for the agent's hello on ${host} took too long`, {
      leg: "jump",
      signal,
    });
    try {
      const hello = await abortable(Promise.race([greeting, gone]), limit.signal);
      negotiate(PROTOCOL_VERSIONS, hello.protocol);
      if (hello.capabilities.includes(capability)) return new HostPeer(peer, hello, host);
      throw new CodedError("protocol.bad-message", `the agent on ${host} is not an ${capability} one`, {
        leg: "jump",
      });
    } catch (error) {
      await peer.close();
      throw error;
    } finally {
      limit.release();
    }
  }

  private constructor(peer: Peer, hello: AgentHello, host: string) {
    this.peer = peer;
    this.hello = hello;
    this.closed = peer.closed;
    this.#host = host;
  }

  /** Asks, within two minutes. */
  async ask<D extends RequestDefinition>(
    definition: D,
    params: ParamsOf<D>,
    signal: AbortSignal,
  ): Promise<ResultOf<D>> {
    const late = `waiting for ${definition.name} on ${this.#host} took too long`;
    const limit = deadline(ANSWER_TIMEOUT_MS, late, { leg: "jump", signal });
    try {
      return await this.peer.request(definition, params, { signal: limit.signal });
    } catch (error) {
      if (this.peer.isClosed) throw (await this.peer.closed) ?? error;
      if (!isCodedError(error) || error.leg !== undefined || signal.aborted) throw error;
      throw new CodedError(error.code, `${error.message} (${this.#host})`, {
        hint: error.hint,
        leg: "jump",
        cause: error,
      });
    } finally {
      limit.release();
    }
  }

  close(): Promise<void> {
    return this.peer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
