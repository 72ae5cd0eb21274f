import {
  abortable,
  CodedError,
  type DataOf,
  type EventDefinition,
  eventsDropped,
  isCodedError,
  MAX_QUEUED_EVENTS,
  type ParamsOf,
  type Peer,
  type RequestDefinition,
  type RequestOptions,
  type ResultOf,
} from "@farside/protocol";

type EmitOptions = Parameters<Peer["emit"]>[2];
type Channel = Pick<Peer, "emit" | "request" | "closed">;

/**
 * Who is a resident agent's orchestrator at the moment. Events go to it; while there is none, as many as a slow carrier may
 * hold wait for the next, and what is more is dropped and counted. Requests wait for one.
 */
export class Attachment {
  /** Whether somebody is expected at all. */
  readonly #isExpected: () => boolean;
  readonly #backlog: (() => void)[] = [];
  readonly #waiting = new Set<(channel: Channel) => void>();
  #channel: Channel | undefined;
  #dropped = 0;
  #unreported = 0;

  constructor(isExpected: () => boolean) {
    this.#isExpected = isExpected;
  }

  get channel(): Channel | undefined {
    return this.#channel;
  }

  /** Events that nobody will be told, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Makes `channel` the orchestrator's and gives it what has waited. Returns the one that it takes over from. */
  attach(channel: Channel): Channel | undefined {
    const previous = this.#channel;
    this.#channel = channel;
    void channel.closed.then(() => {
      if (this.#channel === channel) this.#channel = undefined;
    });
    for (const tell of this.#backlog.splice(0)) tell();
    if (this.#unreported > 0) channel.emit(eventsDropped, { count: this.#unreported }, { keep: true });
    this.#unreported = 0;
    for (const wake of [...this.#waiting]) wake(channel);
    return previous;
  }

  readonly emit = <D extends EventDefinition>(
    definition: D,
    data: DataOf<D>,
    options: EmitOptions = {},
  ): void => {
    if (this.#channel !== undefined) this.#channel.emit(definition, data, options);
    else if (this.#backlog.length < MAX_QUEUED_EVENTS * (options.keep === true ? 2 : 1)) {
      this.#backlog.push(() => this.#channel?.emit(definition, data, options));
    } else {
      this.#dropped += 1;
      this.#unreported += 1;
    }
  };

  /**
   * Asks the orchestrator, again where it is lost before it answers. Rejects with `hop.needs-signature` where nobody is
   * expected, with what it answers, or with the signal's reason.
   */
  readonly request = async <D extends RequestDefinition>(
    definition: D,
    params: ParamsOf<D>,
    options: RequestOptions = {},
  ): Promise<ResultOf<D>> => {
    for (;;) {
      const channel = this.#channel ?? (await this.#next(options.signal));
      try {
        return await channel.request(definition, params, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        const isLost = isCodedError(error) && error.code === "agent.gone";
        if (!isLost) throw error;
        await channel.closed;
      }
    }
  };

  #next(signal: AbortSignal | undefined): Promise<Channel> {
    if (!this.#isExpected()) {
      const message = "asking for a signature: no workstation is attached to the agent";
      return Promise.reject(new CodedError("hop.needs-signature", message, { leg: "hop" }));
    }
    let wake: (channel: Channel) => void = () => undefined;
    const attached = new Promise<Channel>((resolve) => {
      wake = resolve;
      this.#waiting.add(wake);
    });
    const waited = signal === undefined ? attached : abortable(attached, signal);
    return waited.finally(() => this.#waiting.delete(wake));
  }
}
