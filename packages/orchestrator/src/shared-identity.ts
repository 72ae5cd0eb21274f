import { CodedError, Gate } from "@farside/protocol";
import type { Identity, PublicKey, SignRequest } from "@farside/ssh";
import { EventLog, type SessionEventDraft, type SessionEventListener } from "./event-log.ts";
import { SessionTurn } from "./session-turn.ts";

/** sshd turns away more than ten connections that are not logged in yet (MaxStartups), and all sessions may go through one host. */
const STARTS_AT_A_TIME = 8;

export interface SharedIdentityOptions {
  /**
   * Sessions that may log in at a time; the others wait for their turn, before they connect to anything, so that no host waits long for a
   * signature (sshd's LoginGraceTime). A session that logs in again takes a turn, too, and so does a hop that is dialled again. A host that
   * does not answer holds none. Default 8.
   */
  readonly startsAtATime?: number | undefined;
  /** Hears everything that the identity tells, once: a card's login and state, that signatures wait for it, that it wants a touch. */
  readonly onEvent?: SessionEventListener | undefined;
}

/** A session that uses it. */
export interface Sharer {
  readonly session: string;
  readonly emit: (event: SessionEventDraft) => void;
}

/**
 * One identity for any number of sessions of one program: one card, one PIN, one signer process. Given as `identity` of their options. Their
 * signatures wait in one line, in which sessions take turns. Whoever opened it closes it, after the sessions.
 *
 * ```ts
 * await using card = await SharedIdentity.open(({ emit }) => openCard({ pinSource, events: cardEvents(emit) }));
 * await Promise.all(jumps.map((jump) => deployAndForward({ jump, forwards, identity: card })));
 * ```
 */
export class SharedIdentity implements Identity {
  readonly kind: Identity["kind"];
  readonly #identity: Identity;
  readonly #gate: Gate;
  readonly #log: EventLog;

  /** Opens the identity, which is closed with it. Rejects with what `open` rejects with, and `usage.invalid`. */
  static async open(
    open: (context: { readonly emit: (event: SessionEventDraft) => void }) => Identity | Promise<Identity>,
    { startsAtATime = STARTS_AT_A_TIME, onEvent }: SharedIdentityOptions = {},
  ): Promise<SharedIdentity> {
    if (!Number.isSafeInteger(startsAtATime) || startsAtATime < 1)
      throw new CodedError(
        "usage.invalid",
        `startsAtATime must be a whole number, at least 1: ${startsAtATime}`,
      );
    const log = new EventLog();
    if (onEvent !== undefined) log.subscribe(onEvent);
    const identity = await open({ emit: (event) => log.emit(event) });
    return new SharedIdentity(identity, new Gate(startsAtATime), log);
  }

  private constructor(identity: Identity, gate: Gate, log: EventLog) {
    this.kind = identity.kind;
    this.#identity = identity;
    this.#gate = gate;
    this.#log = log;
  }

  /** Sessions that wait for their turn. */
  get waitingSessions(): number {
    return this.#gate.waiting;
  }

  publicKeys(options?: { signal?: AbortSignal | undefined }): Promise<readonly PublicKey[]> {
    return this.#identity.publicKeys(options);
  }

  ready(options: Parameters<Identity["ready"]>[0]): Promise<void> {
    return this.#identity.ready(options);
  }

  sign(request: SignRequest): Promise<Uint8Array> {
    return this.#identity.sign(request);
  }

  /** What one session takes its turns to log in with; the session closes it. */
  turn(): SessionTurn {
    return new SessionTurn(this.#gate);
  }

  /** The identity as one session has it: that session hears of the card until it closes what it was lent. */
  lend({ session, emit }: Sharer): Identity {
    const unsubscribe = this.#log.subscribe((event) => {
      // A warning is about the card, not about each of a hundred sessions.
      if (event.event === "card.login" || event.event === "card.state") emit(event);
    });
    const close = async (): Promise<void> => unsubscribe();
    return {
      kind: this.kind,
      publicKeys: (options) => this.publicKeys(options),
      ready: (options) => this.ready({ ...options, asker: session }),
      sign: (request) => this.sign({ ...request, asker: session }),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  /** Lets go of the identity: what still waits for a signature fails. Idempotent. */
  async close(): Promise<void> {
    await this.#identity.close();
    this.#log.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The turns of a session that uses `identity`; without a SharedIdentity it never waits for one. */
export function turnOf(identity: unknown): SessionTurn {
  return identity instanceof SharedIdentity ? identity.turn() : new SessionTurn();
}
