import { CodedError, deadline } from "@farside/protocol";

/** Heartbeats within one lease: two may be lost. */
const HEARTBEATS_PER_LEASE = 3;

/** How a channel is found to be dead. */
export interface Heartbeat {
  readonly intervalMs: number;
  /** Without an answer for so long, it is. */
  readonly silenceMs: number;
}

export interface HeartOptions {
  /** `user@host` of the jump host, for messages. */
  readonly host: string;
  readonly heartbeat: Heartbeat;
  /** One heartbeat: rejects where the channel is closed, or with the signal's reason. */
  readonly renew: (signal: AbortSignal) => Promise<void>;
  /** Hears, once, that the agent did not answer (`agent.gone`). */
  readonly onSilence: (error: CodedError) => void;
}

/** Renews an agent's lease again and again, until it is disposed of, the channel is closed or there is no answer. */
export class Heart implements Disposable {
  readonly #options: HeartOptions;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** The heartbeat of an agent with one channel: every third of the lease, and a whole one. */
  static heartbeatOf(leaseMs: number): Heartbeat {
    return { intervalMs: leaseMs / HEARTBEATS_PER_LEASE, silenceMs: leaseMs };
  }

  constructor(options: HeartOptions) {
    this.#options = options;
    this.#beatLater();
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #beatLater(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#beat(), this.#options.heartbeat.intervalMs);
  }

  async #beat(): Promise<void> {
    const { host, heartbeat, renew, onSilence } = this.#options;
    const { silenceMs } = heartbeat;
    const missed = () =>
      new CodedError("agent.gone", `the agent on ${host} did not answer for ${silenceMs / 1000} s`, {
        leg: "jump",
      });
    const limit = deadline(silenceMs, missed);
    try {
      await renew(limit.signal);
      this.#beatLater();
    } catch (error) {
      // A closed channel has its own reason.
      if (limit.signal.aborted) onSilence(error as CodedError);
    } finally {
      limit.release();
    }
  }
}
