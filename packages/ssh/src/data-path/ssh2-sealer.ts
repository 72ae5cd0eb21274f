import { message } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Sealer } from "./sealer.ts";
import type { Ssh2Cipher } from "./ssh2-shape.ts";

/** Every cipher that is not AES-GCM in JavaScript: ssh2's cipher seals the packets, the rest is the data path's. */
export class Ssh2Sealer implements Sealer {
  readonly #cipher: Ssh2Cipher;
  readonly #outbox: Outbox;
  readonly #onMessage: (type: number) => void;

  constructor(cipher: Ssh2Cipher, outbox: Outbox, onMessage: (type: number) => void) {
    this.#cipher = cipher;
    this.#outbox = outbox;
    this.#onMessage = onMessage;
    cipher._onWrite = this._onWrite;
  }

  readonly _onWrite = (bytes: Uint8Array): void => this.#outbox.append(bytes);

  get outSeqno(): number {
    return this.#cipher.outSeqno;
  }

  set outSeqno(value: number) {
    this.#cipher.outSeqno = value;
  }

  allocPacket(payloadLength: number): Buffer {
    return this.#cipher.allocPacket(payloadLength);
  }

  encrypt(packet: Buffer): void {
    const type = packet[5] ?? 0;
    this.#onMessage(type);
    this.#cipher.encrypt(packet);
    if (type === message.disconnect) this.#outbox.flush();
  }

  sealData(recipient: number, bytes: Buffer, from: number, to: number): void {
    const packet = this.#cipher.allocPacket(9 + to - from);
    packet[5] = message.channelData;
    packet.writeUInt32BE(recipient, 6);
    packet.writeUInt32BE(to - from, 10);
    bytes.copy(packet, 14, from, to);
    this.#cipher.encrypt(packet);
  }

  free(): void {
    this.#cipher.free();
  }
}
