import type { CodedError } from "@farside/protocol/errors";
import { CodedError as Coded } from "@farside/protocol/errors";
import type { ChannelHost, ChannelSlot } from "./channel-host.ts";
import { FastChannel } from "./fast-channel.ts";
import { MAX_SENT_PAYLOAD, MIN_SENT_PAYLOAD } from "./limits.ts";
import { message, stringAt, uint32At } from "./messages.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { violation } from "./violation.ts";

/** What a channel leads to, as the server sees it. */
export type ChannelTarget =
  | {
      readonly host: string;
      readonly port: number;
      /** Where the relayed connection came from, for the server's log; default 127.0.0.1, 0. */
      readonly originHost?: string | undefined;
      readonly originPort?: number | undefined;
    }
  | { readonly socketPath: string };

export interface OpeningEvents {
  opened(channel: FastChannel): void;
  /** `reason` as in RFC 4254, 5.1; the description is the server's own, not yet fit for people. */
  refused(reason: number, description: string): void;
  failed(error: CodedError): void;
}

/** A channel number whose request is on its way, or was given up before the answer came. */
export class ChannelOpening implements ChannelSlot {
  readonly #host: ChannelHost;
  readonly #id: number;
  readonly #replace: (slot: ChannelSlot) => void;
  readonly #window: ReceiveWindow;
  readonly #askedAt = performance.now();
  #events: OpeningEvents | undefined;

  /** Sends the request. `replace` gives the number to the channel. */
  constructor(
    host: ChannelHost,
    id: number,
    target: ChannelTarget,
    replace: (slot: ChannelSlot) => void,
    events: OpeningEvents,
  ) {
    this.#host = host;
    this.#id = id;
    this.#replace = replace;
    this.#events = events;
    this.#window = new ReceiveWindow(host.windows, host.roundTrip);
    const window = this.#window.first;
    const maxPayload = host.maxReceivedPayload;
    host.control((protocol) => {
      if ("socketPath" in target) {
        protocol.openssh_directStreamLocal(id, window, maxPayload, target);
        return;
      }
      const { host: dstIP, port: dstPort, originHost: srcIP = "127.0.0.1", originPort: srcPort = 0 } = target;
      protocol.directTcpip(id, window, maxPayload, { srcIP, srcPort, dstIP, dstPort });
    });
  }

  /** Nobody waits any more: the channel is closed as soon as it opens. */
  giveUp(): void {
    this.#events = undefined;
  }

  receive(type: number, bytes: Buffer, from: number, to: number): void {
    this.#host.roundTrip.answeredIn(performance.now() - this.#askedAt);
    if (type === message.channelOpenConfirmation) this.#confirmed(bytes, from, to);
    else if (type === message.channelOpenFailure) this.#refused(bytes, from, to);
    else throw violation("a message for a channel that is not open yet");
  }

  lost(reason: CodedError): void {
    this.#window.release();
    this.#events?.failed(reason);
  }

  #confirmed(bytes: Buffer, from: number, to: number): void {
    const remoteId = uint32At(bytes, from, to);
    const sendWindow = uint32At(bytes, from + 4, to);
    const maxPacket = uint32At(bytes, from + 8, to);
    const channel = new FastChannel(this.#host, {
      id: this.#id,
      remoteId,
      sendWindow,
      maxPayload: Math.min(maxPacket, MAX_SENT_PAYLOAD),
      receiveWindow: this.#window,
    });
    this.#replace(channel);
    if (maxPacket < MIN_SENT_PAYLOAD) {
      channel.destroy();
      const message = `the host takes only packets of ${maxPacket} bytes on a channel`;
      this.#events?.failed(new Coded("hop.channel-refused", message, { leg: "hop" }));
    } else if (this.#events === undefined) {
      channel.destroy();
    } else {
      this.#events.opened(channel);
    }
  }

  #refused(bytes: Buffer, from: number, to: number): void {
    const reason = uint32At(bytes, from, to);
    const description = stringAt(bytes, from + 4, to);
    this.#window.release();
    this.#host.free(this.#id);
    this.#events?.refused(
      reason,
      bytes.toString("utf8", description.from, Math.min(description.to, description.from + 1024)),
    );
  }
}
