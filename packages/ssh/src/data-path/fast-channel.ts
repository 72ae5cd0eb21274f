import type { Socket } from "node:net";
import type { CodedError } from "@farside/protocol/errors";
import type { ChannelHost, ChannelSlot } from "./channel-host.ts";
import { Download } from "./download.ts";
import { isReset } from "./is-reset.ts";
import { takeLocal } from "./local-side.ts";
import { message, stringAt, uint32At } from "./messages.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import type { FastRelay, RelayCounters, RelayEnd } from "./relay-end.ts";
import type { Ssh2Protocol } from "./ssh2-shape.ts";
import { Upload } from "./upload.ts";
import { violation } from "./violation.ts";

const nothing = Buffer.alloc(0);

export interface ConfirmedChannel {
  readonly id: number;
  readonly remoteId: number;
  readonly sendWindow: number;
  readonly maxPayload: number;
  readonly receiveWindow: ReceiveWindow;
}

/**
 * An open channel to a target that becomes one relay. Whoever opened it joins it with its client or destroys it.
 * What the target sends before that is kept, at most a window.
 */
export class FastChannel implements ChannelSlot {
  readonly #host: ChannelHost;
  readonly #id: number;
  readonly #remoteId: number;
  readonly #receiveWindow: ReceiveWindow;
  readonly #bytes: RelayCounters = { in: 0, out: 0 };
  readonly #upload: Upload;
  readonly #download: Download;
  #local: Socket | undefined;
  #isEofReceived = false;
  #isCloseReceived = false;
  #isCloseSent = false;
  /** Why the relay ends, where it is not that both sides are done. The first reason counts. */
  #cause: RelayEnd | undefined;
  #isLocalClosed = false;
  #isOver = false;
  #resolveEnd: (end: RelayEnd) => void = () => {};
  readonly #end: Promise<RelayEnd>;

  constructor(host: ChannelHost, channel: ConfirmedChannel) {
    this.#host = host;
    this.#id = channel.id;
    this.#remoteId = channel.remoteId;
    this.#receiveWindow = channel.receiveWindow;
    this.#upload = new Upload(host, channel, () => this.#uploadEnded());
    this.#download = new Download(channel.receiveWindow, {
      passedOn: (adjustment) => this.#adjustWindow(adjustment),
      emptied: () => this.#downloadEmptied(),
    });
    this.#end = new Promise((resolve) => {
      this.#resolveEnd = resolve;
    });
  }

  /**
   * Relays between `socket`, the client, and the target until both directions have ended. It was accepted, is paused and
   * was never read (`pauseOnConnect`), and sends without a delay; the channel owns it from now on. Once only.
   */
  join(socket: Socket): FastRelay {
    if (this.#local !== undefined) throw new Error("the channel is joined already");
    takeLocal(socket, this.#upload);
    this.#local = socket;
    socket.on("end", () => this.#upload.ended());
    socket.on("error", () => this.#endWith({ reason: "reset", by: "client" }));
    socket.on("close", () => this.#localClosed());
    if (this.#isOver) {
      reset(socket);
    } else {
      this.#upload.start(socket, this.#bytes);
      this.#download.start(socket, this.#bytes);
    }
    return { bytes: this.#bytes, closed: this.#end, cut: () => this.destroy() };
  }

  /** Closes the channel, and resets the client where there is one. Idempotent. */
  destroy(): void {
    this.#breakOff({ reason: "closed" });
  }

  receive(type: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case message.channelData:
        this.#receiveData(bytes, from, to);
        return;
      case message.channelWindowAdjust:
        this.#upload.grant(uint32At(bytes, from, to));
        return;
      case message.channelEof:
        this.#receiveEof();
        return;
      case message.channelClose:
        this.#receiveClose();
        return;
      case message.channelExtendedData: {
        const data = stringAt(bytes, from + 4, to);
        this.#receiveWindow.received(data.to - data.from);
        this.#adjustWindow(this.#receiveWindow.passedOn(data.to - data.from, false));
        return;
      }
      case message.channelRequest: {
        const name = stringAt(bytes, from, to);
        const isReplyWanted = name.to < to && bytes[name.to] !== 0;
        if (isReplyWanted && !this.#isCloseSent)
          this.#host.control((protocol) => protocol.channelFailure(this.#remoteId));
        return;
      }
      case message.channelSuccess:
      case message.channelFailure:
        throw violation("an answer to a channel request that was not made");
      default:
        throw violation("a second answer to a request for a channel");
    }
  }

  /** The server sends for somebody else now: what came goes to the client. */
  endRun(): void {
    this.#download.endRun();
  }

  /** Something that held the upload up may be over. */
  pump(): void {
    this.#upload.pump();
  }

  lost(error: CodedError): void {
    this.#isCloseReceived = this.#isCloseSent = true;
    const end: RelayEnd = { reason: "error", error };
    // All that the target sent is here: the client still gets it.
    const isOwed = this.#isEofReceived && this.#local !== undefined && !this.#download.isEmpty;
    if (!isOwed) {
      this.#breakOff(end);
      return;
    }
    this.#cause ??= end;
    this.#upload.stop();
  }

  #receiveData(bytes: Buffer, from: number, to: number): void {
    const data = stringAt(bytes, from, to);
    if (this.#isEofReceived) throw violation("data after the end of a channel's data");
    const count = data.to - data.from;
    this.#receiveWindow.received(count);
    if (count === 0) return;
    if (this.#isOver || this.#isCloseSent) return;
    this.#host.startRun(this);
    this.#download.add(bytes.subarray(data.from, data.to));
  }

  #receiveEof(): void {
    if (this.#isEofReceived) throw violation("a second end of a channel's data");
    this.#isEofReceived = true;
    this.#download.finish();
  }

  #receiveClose(): void {
    this.#isCloseReceived = true;
    this.#sendClose();
    this.#host.free(this.#id);
    this.#upload.stop();
    if (!this.#isEofReceived) this.#cause ??= { reason: "reset", by: "target" };
    this.#download.finish();
    if (this.#isLocalClosed) this.#over();
  }

  /** Everything that came is with the kernel, and nothing more will come: the client's turn. */
  #downloadEmptied(): void {
    const local = this.#local;
    if (local === undefined) return;
    if (!this.#isEofReceived) reset(local);
    // The kernel has everything, and the client's end was read: closing alone tells it the same as a FIN before would.
    else if (this.#upload.isEofSent) local.destroy();
    else if (this.#isCloseReceived) local.destroySoon();
    else local.end();
    this.#closeIfDone();
  }

  #uploadEnded(): void {
    this.#closeIfDone();
    const local = this.#local;
    if (local?.writable !== true) return;
    // libuv reports a reset behind the last data as an end (POLLHUP). Where only that tells, writing nothing fails.
    const wasReset = isReset(local);
    if (wasReset === undefined) local.write(nothing);
    else if (wasReset) this.#breakOff({ reason: "reset", by: "client" });
  }

  /** RFC 4254, 5.3: a channel whose two directions have ended is closed. */
  #closeIfDone(): void {
    if (this.#upload.isEofSent && this.#isEofReceived && this.#download.isEmpty) this.#sendClose();
  }

  #localClosed(): void {
    const isDone = this.#upload.isEofSent && this.#isEofReceived;
    if (!isDone && !this.#isCloseReceived) this.#cause ??= { reason: "reset", by: "client" };
    this.#isLocalClosed = true;
    this.#sendClose();
    this.#receiveWindow.release();
    // After a clean end the server may still hold bytes for its target. It closes when it has handed them on.
    if (this.#cause !== undefined || this.#isCloseReceived) this.#over();
  }

  #endWith(cause: RelayEnd): void {
    this.#cause ??= cause;
  }

  #breakOff(cause: RelayEnd): void {
    this.#cause ??= cause;
    this.#sendClose();
    this.#download.discard();
    if (this.#local === undefined || this.#isLocalClosed) this.#over();
    else reset(this.#local);
  }

  #sendClose(): void {
    if (this.#isCloseSent) return;
    this.#isCloseSent = true;
    const isClean = this.#cause === undefined && this.#upload.isEofSent && this.#isEofReceived;
    this.#upload.stop();
    const close = (protocol: Ssh2Protocol) => protocol.channelClose(this.#remoteId);
    // Neither the client nor the target learns anything by it.
    if (isClean) this.#host.outbox.lazily(() => this.#host.control(close));
    else this.#host.control(close);
  }

  #adjustWindow(bytes: number): void {
    if (bytes === 0 || this.#isCloseSent || this.#isEofReceived) return;
    this.#host.control((protocol) => protocol.channelWindowAdjust(this.#remoteId, bytes));
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#upload.stop();
    this.#download.discard();
    this.#receiveWindow.release();
    this.#resolveEnd(this.#cause ?? { reason: "end" });
  }
}

/** RST where the socket knows it (TCP), so that the client never takes a broken transfer for a whole one. */
function reset(socket: Socket): void {
  // libuv refuses a reset behind a shutdown, and Node would then never say that the socket is closed.
  if (socket.writableEnded) {
    socket.destroy();
    return;
  }
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
