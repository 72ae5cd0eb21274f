import type { RelayEnd } from "./relay-end.ts";

/** Where a forward's relays go. Made once a forward; dials once a relay. */
export interface Target extends AsyncDisposable {
  /** `localhost:4444`, `/run/x.sock`, for messages. */
  readonly label: string;
  /** Gets ready what relays share (hops). Rejects with `hop.*`, `host-key.*`, `sign.refused` … */
  connect(signal: AbortSignal): Promise<void>;
  /** A new connection, owned by the caller. Rejects with a CodedError that names the leg, or with the signal's reason. */
  dial(signal: AbortSignal): Promise<RelayEnd>;
  /** Lets go of what is shared; dialled connections over it may end. Idempotent. */
  close(): Promise<void>;
}
