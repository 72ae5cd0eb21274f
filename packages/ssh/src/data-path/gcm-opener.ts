import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { countUp } from "./gcm-counter.ts";
import { MAX_RECEIVED_PACKET, MAX_RECEIVED_PAYLOAD } from "./limits.ts";
import type { Opener, PayloadSink } from "./opener.ts";
import type { GcmKeys, OnPayload } from "./ssh2-shape.ts";
import { violation } from "./violation.ts";

const tagBytes = 16;

/**
 * AES-GCM packets (RFC 5647). Ciphertext is read where it lies in the ring; each payload is in memory of its own, of
 * the packet's size (node:crypto can't decrypt in place), so that handing it on never pins the ring.
 */
export class GcmOpener implements Opener {
  inSeqno: number;
  _onPayload: OnPayload;
  readonly maxPayload = MAX_RECEIVED_PAYLOAD;
  readonly #name: GcmKeys["name"];
  readonly #key: KeyObject;
  readonly #iv: Buffer;

  constructor(keys: GcmKeys, inSeqno: number, onPayload: OnPayload) {
    this.inSeqno = inSeqno;
    this._onPayload = onPayload;
    this.#name = keys.name;
    this.#key = createSecretKey(keys.key);
    this.#iv = keys.iv;
  }

  run(ring: Buffer, start: number, end: number, sink: PayloadSink): number {
    let at = start;
    while (end - at >= 4) {
      const length = ring.readUInt32BE(at);
      // Before a byte more is waited for: the length is not authenticated yet.
      if (length > MAX_RECEIVED_PACKET || length < 16 || (length & 15) !== 0)
        throw violation(`a packet of ${length} bytes`);
      const tagAt = at + 4 + length;
      const next = tagAt + tagBytes;
      if (next > end) break;
      const plain = this.#open(
        ring.subarray(at, at + 4),
        ring.subarray(at + 4, tagAt),
        ring.subarray(tagAt, next),
      );
      at = next;
      const payloadEnd = plain.length - (plain[0] ?? 0);
      if (payloadEnd < 1) throw violation("a packet with more padding than bytes");
      if (sink(plain, 1, payloadEnd)) break;
    }
    return at;
  }

  free(): void {}

  decrypt(): never {
    throw new Error("bytes of the server went past the data path");
  }

  #open(lengthField: Uint8Array, sealed: Uint8Array, tag: Uint8Array): Buffer {
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv);
    decipher.setAAD(lengthField);
    decipher.setAuthTag(tag);
    const plain = decipher.update(sealed);
    try {
      decipher.final();
    } catch (error) {
      throw violation("a packet failed its authentication", error);
    }
    countUp(this.#iv);
    this.inSeqno = (this.inSeqno + 1) >>> 0;
    return plain;
  }
}
