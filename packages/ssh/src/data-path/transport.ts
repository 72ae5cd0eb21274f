import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { CodedError as Coded, type CodedError, isCodedError } from "@farside/protocol/errors";
import type { Client } from "ssh2";
import { fill, type ReadTarget, redirectReads } from "./data-socket.ts";
import { MAX_DEFERRED, REKEY_DEADLINE_MS, RING_BYTES } from "./limits.ts";
import { isAboutChannel, message, uint32At } from "./messages.ts";
import { betterOpener, type Opener, openerFor } from "./opener.ts";
import { Outbox } from "./outbox.ts";
import { ReceiveRing } from "./receive-ring.ts";
import { type Sealer, sealerFor } from "./sealer.ts";
import type { Ssh2Cipher, Ssh2Client, Ssh2Decipher, Ssh2Protocol } from "./ssh2-shape.ts";
import { violation } from "./violation.ts";

export interface TransportEvents {
  /** A message about the channel `id`, which is not ssh2's; what follows the number is `bytes[from..to)`. May throw. */
  message(type: number, id: number, bytes: Buffer, from: number, to: number): void;
  /** What was read is worked off, or something else comes in between. */
  runEnded(): void;
  keysExchanged(): void;
  /** The server is not to be trusted any more, or our own code failed; the connection is destroyed next. */
  failed(error: CodedError): void;
  /** The stream is closed. */
  closed(): void;
}

export interface TransportOptions {
  /** Messages about channels from this number on are not ssh2's. */
  readonly firstChannel: number;
  readonly rekeyBytes: number;
  /** What may wait for a server that does not read. */
  overdueBytes(): number;
}

/** The keepalive need not know more often. */
const aliveEveryMs = 1_000;

/**
 * The packets of a logged-in ssh2 connection, taken over from ssh2: it reads and opens them, keeps those of our
 * channels and gives ssh2 the rest; and it seals what ssh2 and our channels send. ssh2 still negotiates keys; what it
 * comes to is taken over each time.
 */
export class Transport implements ReadTarget {
  readonly outbox: Outbox;
  readonly #client: Ssh2Client;
  readonly #protocol: Ssh2Protocol;
  readonly #stream: Duplex;
  readonly #events: TransportEvents;
  readonly #options: TransportOptions;
  readonly #ring = new ReceiveRing();
  readonly #deferred: ((protocol: Ssh2Protocol) => void)[] = [];
  #sealer: Sealer;
  #opener: Opener;
  #isExchangingKeys = false;
  #rekeyTimer: NodeJS.Timeout | undefined;
  #bytesSinceKeys = 0;
  #aliveAt = 0;
  #isOver = false;

  /** Both are as `canUseDataPath` wants them, and no key exchange is under way. Not while ssh2 handles what it read. */
  constructor(client: Client, stream: Duplex, options: TransportOptions, events: TransportEvents) {
    this.#client = client as unknown as Ssh2Client;
    this.#protocol = this.#client._protocol;
    this.#stream = stream;
    this.#options = options;
    this.#events = events;
    this.outbox = new Outbox(stream);
    this.#sealer = this.#sealerFor(this.#protocol._cipher);
    this.#opener = openerFor(this.#protocol._decipher);
  }

  get sealer(): Sealer {
    return this.#sealer;
  }

  get isExchangingKeys(): boolean {
    return this.#isExchangingKeys;
  }

  /** Longest CHANNEL_DATA payload that the server may send. */
  get maxReceivedPayload(): number {
    return this.#opener.maxPayload;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends a message of ssh2's now, or after the key exchange; never once the connection is over. */
  control(send: (protocol: Ssh2Protocol) => void): void {
    if (this.#isOver) return;
    if (!this.#isExchangingKeys) send(this.#protocol);
    else if (this.#deferred.length < MAX_DEFERRED) this.#deferred.push(send);
    else this.fail(violation("it asks on and on, and does not answer our request for new keys"));
  }

  /** Starts a key exchange unless one is under way. */
  rekey(): void {
    if (!this.#isExchangingKeys && !this.#isOver) this.#protocol.rekey();
  }

  /** Gives the connection up. The first error counts. */
  fail(error: CodedError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      // 2: SSH_DISCONNECT_PROTOCOL_ERROR (RFC 4253, 11.1). Sent as far as the kernel takes it at once.
      this.#protocol.disconnect(2);
      this.outbox.flush();
    } catch {
      // The connection is beyond that; the error below says why.
    }
    this.#events.failed(error);
    this.#stream.destroy();
  }

  room(): Buffer {
    return this.#ring.room();
  }

  filled(count: number): void {
    if (this.#isOver) return;
    this.#ring.filled(count);
    this.#bytesSinceKeys += count;
    try {
      this.#work();
    } catch (error) {
      this.fail(isCodedError(error) ? error : unexpected(error));
      return;
    }
    this.#keepAlive();
    this.#keepKeysFresh();
    if (this.outbox.queuedBytes > this.#options.overdueBytes())
      this.fail(violation("it does not read what it asks for"));
  }

  #work(): void {
    const ring = this.#ring;
    let at = ring.start;
    for (;;) {
      const opener = this.#opener;
      at = opener.run(ring.bytes, at, ring.end, this.#take);
      // Other keys: the rest is for the new opener.
      if (this.#isOver || opener === this.#opener) break;
    }
    this.#events.runEnded();
    ring.opened(at);
    this.#opener = betterOpener(this.#opener);
  }

  readonly #take = (bytes: Buffer, from: number, to: number): boolean => {
    if (from === to) return false;
    const opener = this.#opener;
    const type = bytes[from] ?? 0;
    // Within a key exchange ssh2 gets everything, and refuses what has no business there.
    if (isAboutChannel(type) && opener._onPayload === this.#protocol._onPayload) {
      const id = uint32At(bytes, from + 1, to);
      if (id >= this.#options.firstChannel) {
        this.#events.message(type, id, bytes, from + 5, to);
        return this.#isOver;
      }
    }
    this.#events.runEnded();
    const verdict = opener._onPayload(bytes.subarray(from, to));
    if (this.#protocol._destruct === undefined) this.#isOver = true;
    return verdict === Number.POSITIVE_INFINITY || opener !== this.#opener || this.#isOver;
  };

  #keepAlive(): void {
    const now = Date.now();
    if (now - this.#aliveAt < aliveEveryMs) return;
    this.#aliveAt = now;
    this.#client._resetKA();
  }

  #keepKeysFresh(): void {
    if (this.#bytesSinceKeys + this.outbox.bytesSinceMark > this.#options.rekeyBytes) this.rekey();
  }

  #sealerFor(cipher: Ssh2Cipher): Sealer {
    return sealerFor(cipher, this.outbox, (type) => {
      if (type === message.kexInit) this.#exchangeBegins();
    });
  }

  #exchangeBegins(): void {
    this.#isExchangingKeys = true;
    clearTimeout(this.#rekeyTimer);
    const tooLate = () => {
      const what = `the SSH server did not finish a key exchange within ${REKEY_DEADLINE_MS / 1000} s`;
      this.fail(new Coded("hop.lost", what, { leg: "hop" }));
    };
    this.#rekeyTimer = setTimeout(tooLate, REKEY_DEADLINE_MS);
    this.#rekeyTimer.unref();
  }

  readonly #exchangeEnded = (): void => {
    clearTimeout(this.#rekeyTimer);
    this.#isExchangingKeys = false;
    this.#bytesSinceKeys = 0;
    this.outbox.mark();
    for (const send of this.#deferred.splice(0)) send(this.#protocol);
    this.#events.keysExchanged();
  };

  /** Takes the connection over. Events may come before this returns. */
  start(): void {
    const stream = this.#stream;
    const protocol = this.#protocol;
    // As properties, because ssh2 assigns both at the end of every key exchange.
    Object.defineProperty(protocol, "_cipher", {
      configurable: true,
      get: () => this.#sealer,
      set: (cipher: Ssh2Cipher) => {
        this.#sealer = this.#sealerFor(cipher);
      },
    });
    Object.defineProperty(protocol, "_decipher", {
      configurable: true,
      get: () => this.#opener,
      set: (decipher: Ssh2Decipher) => {
        this.#opener = openerFor(decipher);
      },
    });
    protocol._onWrite = (bytes) => this.outbox.append(bytes);
    this.#client.on("handshake", this.#exchangeEnded);
    stream.on("close", () => this.#streamClosed());
    stream.removeAllListeners("data");
    stream.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += RING_BYTES / 4)
        fill(this, chunk.subarray(at, at + RING_BYTES / 4));
    });
    // What the stream holds came before what the ring will be given.
    while (stream.readableLength > 0 && stream.read() !== null);
    if (stream instanceof Socket) redirectReads(stream, this);
  }

  #streamClosed(): void {
    this.#isOver = true;
    clearTimeout(this.#rekeyTimer);
    this.#deferred.length = 0;
    this.#events.closed();
  }
}

/** ssh2 throws plain errors at packets that it does not understand. */
function unexpected(error: unknown): CodedError {
  const text = error instanceof Error ? error.message : String(error);
  return violation(text.slice(0, 200).replace(/[^\x20-\x7e]/gu, "?"), error);
}
