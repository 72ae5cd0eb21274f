import { createCipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { countUp } from "./gcm-counter.ts";
import { message } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { randomBytesOf } from "./random-bytes.ts";
import type { Sealer } from "./sealer.ts";
import type { GcmKeys } from "./ssh2-shape.ts";

const tagBytes = 16;
const blockBytes = 16;
/** Padding length, message number, recipient and length of the data. */
const dataHeaderBytes = 10;
const saved = Buffer.alloc(2 * blockBytes);

/** AES-GCM packets (RFC 5647), sealed into the outbox's memory. */
export class GcmSealer implements Sealer {
  outSeqno: number;
  readonly #name: GcmKeys["name"];
  readonly #key: KeyObject;
  readonly #iv: Buffer;
  readonly #outbox: Outbox;
  readonly #onMessage: (type: number) => void;
  #isFreed = false;

  constructor(keys: GcmKeys, outSeqno: number, outbox: Outbox, onMessage: (type: number) => void) {
    this.outSeqno = outSeqno;
    this.#name = keys.name;
    this.#key = createSecretKey(keys.key);
    this.#iv = keys.iv;
    this.#outbox = outbox;
    this.#onMessage = onMessage;
  }

  _onWrite(): never {
    throw new Error("this cipher writes to the outbox");
  }

  allocPacket(payloadLength: number): Buffer {
    const padding = paddingFor(1 + payloadLength);
    const packet = Buffer.allocUnsafe(5 + payloadLength + padding);
    packet.writeUInt32BE(packet.length - 4, 0);
    packet[4] = padding;
    randomBytesOf(padding, packet, 5 + payloadLength);
    return packet;
  }

  encrypt(packet: Buffer): void {
    if (this.#isFreed) return;
    this.#onMessage(packet[5] ?? 0);
    this.#seal(packet, 4, packet.length);
    if (packet[5] === message.disconnect) this.#outbox.flush();
  }

  sealData(recipient: number, bytes: Buffer, from: number, to: number): void {
    if (this.#isFreed) return;
    const padding = paddingFor(dataHeaderBytes + to - from);
    const start = from - dataHeaderBytes;
    const end = to + padding;
    // What follows is the next packet's payload, if the caller has more.
    bytes.copy(saved, 0, to, end);
    bytes[start] = padding;
    bytes[start + 1] = message.channelData;
    bytes.writeUInt32BE(recipient, start + 2);
    bytes.writeUInt32BE(to - from, start + 6);
    randomBytesOf(padding, bytes, to);
    this.#seal(bytes, start, end);
    saved.copy(bytes, to, 0, padding);
  }

  free(): void {
    this.#isFreed = true;
  }

  /** Seals `bytes[start..end)`: everything of a packet that is encrypted. */
  #seal(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    const outbox = this.#outbox;
    const at = outbox.reserve(4 + length + tagBytes);
    const { slab } = outbox;
    slab.writeUInt32BE(length, at);
    const cipher = createCipheriv(this.#name, this.#key, this.#iv);
    cipher.setAAD(slab.subarray(at, at + 4));
    slab.set(cipher.update(bytes.subarray(start, end)), at + 4);
    cipher.final();
    slab.set(cipher.getAuthTag(), at + 4 + length);
    countUp(this.#iv);
    this.outSeqno = (this.outSeqno + 1) >>> 0;
  }
}

/** RFC 4253, 6: at least 4 bytes, up to a whole block; the length field is not part of it in GCM. */
function paddingFor(length: number): number {
  const padding = blockBytes - (length & (blockBytes - 1));
  return padding < 4 ? padding + blockBytes : padding;
}
