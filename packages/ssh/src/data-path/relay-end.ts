import type { CodedError } from "@farside/protocol/errors";

/** Why a relay ended: both sides finished, one of them broke off, we ended it, or the SSH connection failed. */
export type RelayEnd =
  | { readonly reason: "end" }
  | { readonly reason: "reset"; readonly by: "client" | "target" }
  | { readonly reason: "closed" }
  | { readonly reason: "error"; readonly error: CodedError };

/** A channel and a client, joined. */
export interface FastRelay {
  /** Client to target, and back, so far. */
  readonly bytes: { readonly in: number; readonly out: number };
  /**
   * Settles once, when the client's socket is released and, where both sides ended, the server has handed on what it had
   * for the target; never rejects.
   */
  readonly closed: Promise<RelayEnd>;
  /** Ends it now: the client sees a reset, the target a closed channel. Idempotent. */
  cut(): void;
}

/** What the two directions count into. */
export interface RelayCounters {
  in: number;
  out: number;
}
