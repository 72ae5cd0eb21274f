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
  #admit: Admit | undefined;
  /** Connections may come before the listener is open on all its addresses. */
  #early: Omit<AdmittedClient, "uid">[] = [];
  /** The one that is being admitted: it was looked at just now. */
  #newest: AdmittedClient | undefined;
  #undecided = 0;
  #refused = 0;
  #isClosed = false;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** Connections refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Connections that wait for the decision or for a place. */
  get waiting(): number {
    return this.#early.length + this.#undecided + this.#admitted.length;
  }

  /** From now on connections are decided on. */
  open(admit: Admit): void {
    this.#admit = admit;
    for (const { socket, peer } of this.#early.splice(0)) this.#decide(admit, socket, peer);
  }

  /** Takes an accepted connection over. */
  accept(socket: net.Socket, peer: string): void {
    // The socket is paused and unread: what happens to it shows when it is used.
    socket.on("error", ignore);
    if (this.#isClosed) resetStream(socket);
    else if (!this.#options.mayWait()) {
      resetStream(socket);
      this.warn("too many connections wait: further ones are reset");
    } else if (this.#admit === undefined) this.#early.push({ socket, peer });
    else this.#decide(this.#admit, socket, peer);
  }

  /** The one that has waited longest, owned by the caller; those that were reset meanwhile are dropped. */
  next(): AdmittedClient | undefined {
    for (let client = this.#admitted.shift(); client !== undefined; client = this.#admitted.shift()) {
      if (client === this.#newest || isStillConnected(client.socket)) return client;
      client.socket.destroy();
    }
    return undefined;
  }

  /** Resets who waits, and who still comes. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const { socket } of [...this.#early.splice(0), ...this.#admitted.splice(0)]) resetStream(socket);
  }

  warn(message: string): void {
    const { forwardId, emit } = this.#options;
    if (this.#warnings.take())
      emit(agentWarning, { message: `forward ${forwardId}: ${message}`, leg: "bind" });
  }

  #decide(admit: Admit, socket: net.Socket, peer: string): void {
    const decision = admit(socket);
    if (!(decision instanceof Promise)) {
      this.#decided(socket, peer, decision);
      return;
    }
    this.#undecided += 1;
    const settle = (settled: AdmissionDecision | undefined) => {
      this.#undecided -= 1;
      this.#decided(socket, peer, settled);
    };
    decision.then(settle, () => settle(undefined));
  }

  /** `undefined`: the decision failed. */
  #decided(socket: net.Socket, peer: string, decision: AdmissionDecision | undefined): void {
    if (decision === undefined || this.#isClosed) resetStream(socket);
    else if (!decision.isAdmitted) this.#refuse(socket, peer, decision);
    else {
      this.#newest = { socket, peer, uid: decision.uid };
      this.#admitted.push(this.#newest);
      this.#options.onAdmitted();
      this.#newest = undefined;
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

function ignore(): void {}
