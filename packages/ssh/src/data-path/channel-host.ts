import type { CodedError } from "@farside/protocol/errors";
import type { FastChannel } from "./fast-channel.ts";
import type { Outbox } from "./outbox.ts";
import type { RoundTrip } from "./round-trip.ts";
import type { Sealer } from "./sealer.ts";
import type { Ssh2Protocol } from "./ssh2-shape.ts";
import type { WindowBudget } from "./window-budget.ts";

/** What holds a channel number of ours: a channel, or one that is being opened. */
export interface ChannelSlot {
  /** A message about the channel; what follows the channel number is `bytes[from..to)`. Throws a violation. */
  receive(type: number, bytes: Buffer, from: number, to: number): void;
  /** The connection is gone. */
  lost(reason: CodedError): void;
}

/** What a channel needs of the connection that it is on. */
export interface ChannelHost {
  readonly windows: WindowBudget;
  readonly roundTrip: RoundTrip;
  readonly outbox: Outbox;
  readonly sealer: Sealer;
  /** Longest CHANNEL_DATA payload that the server may send. */
  readonly maxReceivedPayload: number;
  /** No payload may be sent: a key exchange is under way. Channels are pumped when it is over. */
  readonly isExchangingKeys: boolean;
  /** Sends a message of ssh2's now, or after the key exchange. */
  control(send: (protocol: Ssh2Protocol) => void): void;
  /** `channel` got payload and wants `endRun` when the next message is for somebody else. */
  startRun(channel: FastChannel): void;
  /** Calls `pump` when the connection took what it has. */
  waitForRelief(pump: () => void): void;
  /** A place among those who may read large; false when there is none. */
  takeLargeRead(): boolean;
  giveLargeReadBack(): void;
  /** The server can't send anything for the channel any more. */
  free(id: number): void;
}
