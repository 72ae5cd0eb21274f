import type { CodedError } from "@farside/protocol/errors";

/** What one relay has carried. The channel counts; whoever joins reads. */
export interface RelayCounters {
  /** Client to target. */
  bytesIn: number;
  /** Target to client. */
  bytesOut: number;
}

/** Why a relay ended: both sides finished, one of them broke off, we closed it, or the SSH connection failed. */
export type RelayEnd =
  | { readonly reason: "end" }
  | { readonly reason: "reset"; readonly by: "client" | "target" }
  | { readonly reason: "closed" }
  | { readonly reason: "error"; readonly error: CodedError };
