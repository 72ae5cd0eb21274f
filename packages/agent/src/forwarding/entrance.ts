import type net from "node:net";
import { agentWarning, type Peer, relayRefused } from "@farside/protocol";
import { RateLimit } from "../rate-limit.ts";
import { type AdmissionDecision, type Admit, isStillConnected } from "./admission.ts";
import { resetStream } from "./reset-socket.ts";

/** An admitted connection: paused, not a byte of it read. */
export interface AdmittedClient {
  readonly socket: net.Socket;
  /** Its address. */
  readonly peer: string;
  /** -1 where it isn't known. */
  readonly uid: number;
}

export interface EntranceOptions {
  readonly forwardId: string;
  /** Whether the agent as a whole lets a further connection wait. */
  readonly mayWait: () => boolean;
  /** Called when somebody was admitted. */
  readonly onAdmitted: () => void;
  readonly emit: Peer["emit"];
}

/**
 * Between a forward's listener and its relays: decides on each accepted connection and keeps the admitted ones, unread,
 * until there is a place for them. What is refused is reset.
 */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #admitted: AdmittedClient[] = [];
  /** What happens often is told now and then only; it is always counted. */
  readonly #refusals = new RateLimit(100, 20);
  readonly #warnings = new RateLimit(5, 0.1);
  /** Connections may come before the listener is open on all its addresses. */
  readonly #admit: Promise<Admit | undefined>;
  #settleAdmit: (admit?: Admit) => void = () => {};
  #undecided = 0;
  #refused = 0;
  #isClosed = false;

  constructor(options: EntranceOptions) {
    this.#options = options;
    this.#admit = new Promise((resolve) => {
      this.#settleAdmit = resolve;
    });
  }

  /** Connections refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Connections that wait for the decision or for a place. */
  get waiting(): number {
    return this.#undecided + this.#admitted.length;
  }

  /** From now on connections are decided on. */
  open(admit: Admit): void {
    this.#settleAdmit(admit);
  }

  /** Takes an accepted connection over. */
  accept(socket: net.Socket, peer: string): void {
    // The socket is paused and unread: what happens to it shows when it is used.
    socket.on("error", () => {});
    if (this.#options.mayWait()) void this.#decide(socket, peer);
    else {
      resetStream(socket);
      this.warn("too many connections wait: further ones are reset");
    }
  }

  /** The one that has waited longest, owned by the caller; those that were reset meanwhile are dropped. */
  next(): AdmittedClient | undefined {
    for (let client = this.#admitted.shift(); client !== undefined; client = this.#admitted.shift()) {
      if (isStillConnected(client.socket)) return client;
      client.socket.destroy();
    }
    return undefined;
  }

  /** Resets who waits, and who still comes. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#settleAdmit();
    for (const { socket } of this.#admitted.splice(0)) resetStream(socket);
  }

  warn(message: string): void {
    const { forwardId, emit } = this.#options;
    if (this.#warnings.take())
      emit(agentWarning, { message: `forward ${forwardId}: ${message}`, leg: "bind" });
  }

  async #decide(socket: net.Socket, peer: string): Promise<void> {
    this.#undecided += 1;
    const admit = await this.#admit;
    const decision = await admit?.(socket).catch(() => undefined);
    this.#undecided -= 1;
    if (decision === undefined || this.#isClosed) resetStream(socket);
    else if (!decision.isAdmitted) this.#refuse(socket, peer, decision);
    else {
      this.#admitted.push({ socket, peer, uid: decision.uid });
      this.#options.onAdmitted();
    }
  }

  #refuse(socket: net.Socket, peer: string, decision: AdmissionDecision & { isAdmitted: false }): void {
    resetStream(socket);
    this.#refused += 1;
    if (!this.#refusals.take()) return;
    const { forwardId, emit } = this.#options;
    const { uid, reason, hint } = decision;
    emit(relayRefused, { forwardId, peer, uid, reason, hint });
  }
}
