import type net from "node:net";
import { Relay, type RelayOutcome } from "./relay.ts";
import { type RelayEnd, relayEndOfAccepted } from "./relay-end.ts";
import { resetStream } from "./reset-socket.ts";
import type { HopNews } from "./shared-hop.ts";

/** A relay that runs. */
export interface JoinedRelay {
  /** Client to target, and back, so far. */
  readonly bytes: { readonly in: number; readonly out: number };
  /** Settles once, when both sides are released; never rejects. */
  readonly closed: Promise<RelayOutcome>;
  /** Ends both sides now. Idempotent. */
  cut(): void;
}

/** A connection to a target that waits for its client. Whoever dialled it joins it or destroys it. */
export interface Dialled {
  /** Takes over `client`, which was accepted, is paused and was never read. */
  join(client: net.Socket): JoinedRelay;
  destroy(): void;
}

/** Where a forward's relays go. Made once a forward; dials once a relay. */
export interface Target extends AsyncDisposable {
  /** `localhost:4444`, `/run/x.sock`, for messages. */
  readonly label: string;
  /** Gets ready what relays share (hops). Rejects with `hop.*`, `host-key.*`, `sign.refused` … */
  connect(signal: AbortSignal): Promise<void>;
  /** Calls `watcher` with what happens to what relays share; until it is closed. */
  watch?(watcher: (news: HopNews) => void): void;
  /** A new connection. Rejects with a CodedError that names the leg, or with the signal's reason. */
  dial(signal: AbortSignal): Promise<Dialled>;
  /** Lets go of what is shared; dialled connections over it may end. Idempotent. */
  close(): Promise<void>;
}

/** A dialled connection that is relayed as a stream. */
export function dialledStream(end: RelayEnd): Dialled {
  return {
    join: (client) => new Relay(relayEndOfAccepted(client), end),
    destroy: () => {
      resetStream(end.stream);
      end.reader?.release();
    },
  };
}
