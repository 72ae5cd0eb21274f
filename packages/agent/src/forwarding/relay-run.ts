import type net from "node:net";
import { type CodedError, toWire } from "@farside/protocol";
import type { RelayOutcome } from "./relay.ts";
import type { RelayNews } from "./relay-news.ts";
import { resetStream } from "./reset-socket.ts";
import type { JoinedRelay, Target } from "./target.ts";
import { targetFailure } from "./target-failure.ts";

export interface RelayRunOptions {
  readonly forwardId: string;
  readonly relayId: number;
  /** Accepted, admitted and paused; owned from now on. */
  readonly socket: net.Socket;
  /** The client's address. */
  readonly peer: string;
  readonly uid: number;
  readonly target: Target;
  readonly news: RelayNews;
  /** Aborts before the forward cuts its relays: ends what is not joined yet. */
  readonly signal: AbortSignal;
  /** Called when the target was dialled, with why not where it could not be. */
  readonly onDialled: (error?: CodedError) => void;
}

/** What is told of an open relay. */
export interface RelayFacts {
  readonly forwardId: string;
  readonly relayId: number;
  readonly peer: string;
  readonly uid: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly ageMs: number;
}

/**
 * One connection from its admission to its end: dials the target, joins the two, tells of both. Not a byte of the client
 * is read before the target is connected; a target that can't be dialled resets the client.
 */
export class RelayRun {
  /** Settles when everything of it is released; never rejects. */
  readonly closed: Promise<void>;
  readonly #options: RelayRunOptions;
  readonly #startedAt = performance.now();
  #relay: JoinedRelay | undefined;
  #bytes: { readonly in: number; readonly out: number } = { in: 0, out: 0 };

  constructor(options: RelayRunOptions) {
    this.#options = options;
    this.closed = this.#run();
  }

  /** Client to target, and back, so far. */
  get bytes(): { readonly in: number; readonly out: number } {
    return this.#bytes;
  }

  get facts(): RelayFacts {
    const { forwardId, relayId, peer, uid } = this.#options;
    const { in: bytesIn, out: bytesOut } = this.#bytes;
    return { forwardId, relayId, peer, uid, bytesIn, bytesOut, ageMs: this.#ageMs };
  }

  /** Ends it now, when the signal has aborted. Idempotent. */
  cut(): void {
    this.#relay?.cut();
  }

  get #ageMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }

  async #run(): Promise<void> {
    const { forwardId, relayId, peer, uid, news } = this.#options;
    news.opened({ forwardId, relayId, peer, uid });
    const { reason, error } = await this.#dialAndJoin();
    const { in: bytesIn, out: bytesOut } = this.#bytes;
    const durationMs = this.#ageMs;
    const failure = error === undefined ? {} : { error: toWire(error) };
    news.closed({ forwardId, relayId, peer, uid, bytesIn, bytesOut, durationMs, reason, ...failure });
  }

  async #dialAndJoin(): Promise<{ reason: RelayOutcome["reason"]; error?: CodedError }> {
    const { socket, target, signal, onDialled } = this.#options;
    try {
      const dialled = await target.dial(signal);
      onDialled();
      if (signal.aborted || socket.destroyed) {
        dialled.destroy();
        signal.throwIfAborted();
        return { reason: "reset" };
      }
      const relay = dialled.join(socket);
      this.#relay = relay;
      this.#bytes = relay.bytes;
      const outcome = await relay.closed;
      if (outcome.reason !== "error") return outcome;
      return { reason: "error", error: targetFailure(outcome.error, target.label) };
    } catch (error) {
      resetStream(socket);
      if (signal.aborted) return { reason: "closed" };
      const failure = targetFailure(error, target.label);
      onDialled(failure);
      return { reason: "error", error: failure };
    }
  }
}
