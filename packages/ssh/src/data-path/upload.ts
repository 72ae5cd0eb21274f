import type { Socket } from "node:net";
import type { ChannelHost } from "./channel-host.ts";
import type { ConfirmedChannel } from "./fast-channel.ts";
import { LARGE_READ, SMALL_READ } from "./limits.ts";
import type { LocalReader } from "./local-side.ts";
import type { RelayCounters } from "./relay-end.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";
import { violation } from "./violation.ts";

/**
 * Client to target. Reads only while the server's window is open, the connection keeps up and no key exchange is under
 * way; what a read brings beyond that (at most one read) is kept.
 */
export class Upload implements LocalReader {
  readonly #host: ChannelHost;
  readonly #remoteId: number;
  readonly #maxPayload: number;
  readonly #onEof: () => void;
  #window: number;
  #local: Socket | undefined;
  #counters: RelayCounters = { in: 0, out: 0 };
  /** Payload with room around it, from `HEAD_ROOM` on; its rest begins at `#keptFrom`. */
  #kept: Buffer | undefined;
  #keptFrom = HEAD_ROOM;
  #isPaused = true;
  #isLarge = false;
  #isLocalEnded = false;
  #isStopped = false;
  #isEofSent = false;

  constructor(host: ChannelHost, channel: ConfirmedChannel, onEof: () => void) {
    this.#host = host;
    this.#remoteId = channel.remoteId;
    this.#maxPayload = channel.maxPayload;
    this.#window = channel.sendWindow;
    this.#onEof = onEof;
  }

  get isEofSent(): boolean {
    return this.#isEofSent;
  }

  start(local: Socket, counters: RelayCounters): void {
    this.#local = local;
    this.#counters = counters;
    this.pump();
  }

  /** The client will send nothing more. */
  ended(): void {
    this.#isLocalEnded = true;
    this.#setLarge(false);
    this.pump();
  }

  /** Takes nothing more from the client. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#kept = undefined;
    this.#setLarge(false);
    this.#local?.pause();
  }

  /** The server takes `bytes` more (RFC 4254, 5.2). */
  grant(bytes: number): void {
    this.#window += bytes;
    if (this.#window > 0xffff_ffff) throw violation("a window of more than 2^32 - 1 bytes");
    if (this.#isPaused) this.pump();
  }

  nextRead(): number {
    return this.#isLarge ? Math.min(LARGE_READ, Math.max(SMALL_READ, this.#window)) : SMALL_READ;
  }

  read(bytes: Buffer, from: number, to: number): boolean {
    const count = to - from;
    this.#counters.in += count;
    if (this.#isStopped) return false;
    this.#chooseSize(count);
    const sentTo = this.#isHeldUp() || this.#kept !== undefined ? from : this.#send(bytes, from, to);
    if (sentTo < to) this.#keep(bytes, sentTo, to);
    this.#isPaused = !this.#mayGoOn();
    // Who waits for the server leaves its place to others.
    if (this.#window === 0) this.#setLarge(false);
    return !this.#isPaused;
  }

  /** Sends what was kept and goes on reading, as far as that is possible now. */
  pump(): void {
    if (this.#isStopped) return;
    if (this.#kept !== undefined && (this.#isHeldUp() || !this.#sendKept(this.#kept))) return;
    // During a key exchange this message waits by itself; the client may be closed before that is over.
    if (this.#isLocalEnded) {
      this.#sendEof();
      return;
    }
    if (!this.#isPaused || !this.#mayGoOn()) return;
    this.#isPaused = false;
    this.#local?.resume();
  }

  #isHeldUp(): boolean {
    return this.#host.isExchangingKeys;
  }

  #mayGoOn(): boolean {
    if (this.#kept !== undefined || this.#window === 0 || this.#isHeldUp()) return false;
    if (!this.#host.outbox.checkCongestion()) return true;
    this.#host.waitForRelief(this.#pumpable);
    return false;
  }

  readonly #pumpable = (): void => this.pump();

  /** Sends as much as the window allows; returns where it stopped. */
  #send(bytes: Buffer, from: number, to: number): number {
    const { sealer } = this.#host;
    let at = from;
    while (at < to && this.#window > 0) {
      const count = Math.min(to - at, this.#maxPayload, this.#window);
      sealer.sealData(this.#remoteId, bytes, at, at + count);
      this.#window -= count;
      at += count;
    }
    return at;
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const before = this.#kept?.subarray(this.#keptFrom, this.#kept.length - TAIL_ROOM);
    const length = (before?.length ?? 0) + to - from;
    const kept = Buffer.allocUnsafeSlow(HEAD_ROOM + length + TAIL_ROOM);
    const at = HEAD_ROOM + (before?.copy(kept, HEAD_ROOM) ?? 0);
    bytes.copy(kept, at, from, to);
    this.#kept = kept;
    this.#keptFrom = HEAD_ROOM;
  }

  #sendKept(kept: Buffer): boolean {
    const to = kept.length - TAIL_ROOM;
    this.#keptFrom = this.#send(kept, this.#keptFrom, to);
    if (this.#keptFrom < to) return false;
    this.#kept = undefined;
    return true;
  }

  #sendEof(): void {
    if (this.#isEofSent) return;
    this.#isEofSent = true;
    this.#host.control((protocol) => protocol.channelEOF(this.#remoteId));
    this.#onEof();
  }

  /** A read that filled its buffer asks for a larger one; a small one gives it back. */
  #chooseSize(count: number): void {
    if (count < SMALL_READ) this.#setLarge(false);
    else if (count === SMALL_READ) this.#setLarge(true);
  }

  #setLarge(isLarge: boolean): void {
    if (isLarge === this.#isLarge) return;
    if (!isLarge) {
      this.#isLarge = false;
      this.#host.giveLargeReadBack();
    } else if (this.#host.takeLargeRead()) {
      this.#isLarge = true;
    }
  }
}
