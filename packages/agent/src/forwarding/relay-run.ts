import type net from "node:net";
import { type CodedError, type Peer, relayClosed, relayOpened, toWire } from "@farside/protocol";
import type { RelayOutcome } from "./relay.ts";
import { resetStream } from "./reset-socket.ts";
import type { Target } from "./target.ts";
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
  readonly emit: Peer["emit"];
}

/**
 * One connection from its admission to its end: dials the target, joins the two, tells of both. Not a byte of the client
 * is read before the target is connected; a target that can't be dialled resets the client.
 */
export class RelayRun {
  /** Settles when everything of it is released; never rejects. */
  readonly closed: Promise<void>;
  readonly #options: RelayRunOptions;
  readonly #cutting = new AbortController();
  #bytes: { readonly in: number; readonly out: number } = { in: 0, out: 0 };

  constructor(options: RelayRunOptions) {
    this.#options = options;
    this.closed = this.#run();
  }

  /** Client to target, and back, so far. */
  get bytes(): { readonly in: number; readonly out: number } {
    return this.#bytes;
  }

  /** Ends it now. Idempotent. */
  cut(): void {
    this.#cutting.abort();
  }

  async #run(): Promise<void> {
    const { forwardId, relayId, peer, uid, emit } = this.#options;
    const startedAt = performance.now();
    emit(relayOpened, { forwardId, relayId, peer, uid });
    const { reason, error } = await this.#relay();
    emit(relayClosed, {
      forwardId,
      relayId,
      peer,
      uid,
      bytesIn: this.#bytes.in,
      bytesOut: this.#bytes.out,
      durationMs: Math.round(performance.now() - startedAt),
      reason,
      ...(error === undefined ? {} : { error: toWire(error) }),
    });
  }

  async #relay(): Promise<{ reason: RelayOutcome["reason"]; error?: CodedError }> {
    const { socket, target } = this.#options;
    const { signal } = this.#cutting;
    try {
      const dialled = await target.dial(signal);
      if (signal.aborted || socket.destroyed) {
        dialled.destroy();
        signal.throwIfAborted();
        return { reason: "reset" };
      }
      const relay = dialled.join(socket);
      this.#bytes = relay.bytes;
      signal.addEventListener("abort", () => relay.cut(), { once: true });
      const outcome = await relay.closed;
      if (outcome.reason !== "error") return outcome;
      return { reason: "error", error: targetFailure(outcome.error, target.label) };
    } catch (error) {
      resetStream(socket);
      if (signal.aborted) return { reason: "closed" };
      return { reason: "error", error: targetFailure(error, target.label) };
    }
  }
}
