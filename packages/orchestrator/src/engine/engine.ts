import type { AgentDescription, CodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import type { DeclaredHop } from "../destination-guard.ts";
import type { SessionEventDraft } from "../event-log.ts";
import type { ForwardCounters } from "../forward-counters.ts";
import type { RemoteCommand, RunOptions } from "../remote-command.ts";
import type { OpenForward } from "../session-plan.ts";

/** What an engine learns of its session. */
export interface EngineContext {
  readonly session: string;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** The jump host; borrowed. */
  readonly hop: Hop;
  /** Hops from the jump host on. */
  readonly route: readonly DeclaredHop[];
  readonly emit: (event: SessionEventDraft) => void;
  /** Hears, at any time before `end`, why the engine can't go on. The first counts. */
  readonly onFailure: (failure: CodedError) => void;
  /** Hears that the way to it is lost; it may be found again by `reattach`. */
  readonly onLinkLost: (failure: CodedError) => void;
}

export interface OpenOptions {
  readonly onOpen: (forward: OpenForward) => void;
  readonly signal: AbortSignal;
}

export interface EndOptions {
  /** What open relays get, in ms. */
  readonly graceMs: number;
  /** The grace is over, whatever is left of it. */
  readonly escalated: AbortSignal;
}

/**
 * What makes the jump host listen and forward, for one session. It writes into the session's undo log whatever it makes
 * there, before it does. Whoever made it calls `start`, `open` and, in any case and whatever became of those, `end`.
 */
export interface Engine {
  /** What went through it so far; bytes are those of ended relays. */
  readonly counters: ForwardCounters;
  /** Resolves when something of it runs on the jump host and answers. Rejects with why not, or the signal's reason. */
  start(signal: AbortSignal): Promise<void>;
  /** Opens every forward, telling of each. Rejects with why one is not open, or the signal's reason. */
  open(options: OpenOptions): Promise<void>;
  /** What it is and does now, with the bytes of open relays. Rejects with `agent.gone` where there is nothing to ask. */
  describe(signal: AbortSignal): Promise<AgentDescription>;
  /** Runs a command on the jump host. Throws `usage.invalid`, `agent.unsupported-host`, or `agent.gone` before it is started. */
  run(argv: readonly string[], options: RunOptions): RemoteCommand;
  /**
   * Goes on over another connection to the jump host, borrowed, where it outlives its connection; else there is no such method.
   * Rejects with `agent.gone` where nothing is there any more, what a start rejects with, or the signal's reason.
   */
  readonly reattach?: ((hop: Hop, signal: AbortSignal) => Promise<void>) | undefined;
  /** Leaves it to itself, where that can be; `end` then does nothing. Rejects with why not, or the signal's reason. */
  readonly detach?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Ends whatever was started: listeners at once, relays within the grace. Never rejects. Idempotent. */
  end(options: EndOptions): Promise<void>;
}
