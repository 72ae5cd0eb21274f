import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { VirtualPivCard } from "./virtual-piv-card.ts";

/** Where the driver of Debian's vsmartcard-vpcd waits for a card. */
const VPCD_PORT = 0x8c7b;
const control = { atr: 4 } as const;

/**
 * T=1 and eight historical bytes. OpenSC 0.23 takes the shortest ATR (3b80800101) for a PIVKEY, which has no EC.
 */
function makeAtr(historical: string): Buffer {
  const body = Buffer.concat([Buffer.of(0x80 | historical.length, 0x80, 0x01), Buffer.from(historical)]);
  const checksum = body.reduce((sum, byte) => sum ^ byte, 0);
  return Buffer.concat([Buffer.of(0x3b), body, Buffer.of(checksum)]);
}

/** A card in (or out of) vpcd's reader: messages behind a two-byte length; one byte is a control, more an APDU. */
export class VirtualReader {
  readonly #card: VirtualPivCard;
  readonly #atr = makeAtr("LabPIV1X");
  #socket: Socket | undefined;
  #isSeen = false;

  constructor(card: VirtualPivCard) {
    this.#card = card;
  }

  get isPresent(): boolean {
    return this.#socket !== undefined;
  }

  /** Whether the driver has asked the card that is in, or was last, for anything. */
  get isSeen(): boolean {
    return this.#isSeen;
  }

  /** Idempotent. Rejects when no driver listens. */
  async insert(): Promise<void> {
    if (this.#socket !== undefined) return;
    this.#card.reset();
    const socket = connect(VPCD_PORT, "127.0.0.1").setNoDelay(true);
    await once(socket, "connect");
    this.#socket = socket;
    this.#isSeen = false;
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    this.#serve(socket);
  }

  /** Pulls the card out, even in the middle of a signature. Idempotent. */
  async remove(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    const closed = once(socket, "close");
    socket.destroy();
    await closed;
    this.#card.reset();
  }

  #serve(socket: Socket): void {
    let buffered = Buffer.alloc(0);
    let queue = Promise.resolve();
    const send = (message: Buffer): void => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      if (socket.writable) socket.write(Buffer.concat([length, message]));
    };
    socket.on("data", (chunk: Buffer) => {
      if (this.#socket === socket) this.#isSeen = true;
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0)) {
        const end = 2 + buffered.readUInt16BE(0);
        const message = buffered.subarray(2, end);
        buffered = buffered.subarray(end);
        queue = queue.then(() => this.#handle(message, send));
      }
    });
  }

  async #handle(message: Buffer, send: (message: Buffer) => void): Promise<void> {
    if (message.length !== 1) return send(await this.#card.handle(message));
    if (message[0] === control.atr) send(this.#atr);
    else this.#card.reset();
  }
}
