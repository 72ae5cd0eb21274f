import { createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { CodedError } from "@farside/protocol/errors";
import { countUp } from "./gcm-counter.ts";
import { MAX_RECEIVED_PACKET, MAX_RECEIVED_PAYLOAD } from "./limits.ts";
import type { Opener, PayloadSink } from "./opener.ts";
import { SHORT_BYTES, ShortGcm } from "./short-gcm.ts";
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
  readonly #short: ShortGcm;
  readonly #iv: Buffer;

  constructor(keys: GcmKeys, inSeqno: number, onPayload: OnPayload) {
    this.inSeqno = inSeqno;
    this._onPayload = onPayload;
    this.#name = keys.name;
    this.#key = createSecretKey(keys.key);
    this.#short = new ShortGcm(keys.name, this.#key);
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
      const plain =
        length <= SHORT_BYTES ? this.#openShort(ring, at + 4, tagAt) : this.#openLong(ring, at, tagAt);
      countUp(this.#iv);
      this.inSeqno = (this.inSeqno + 1) >>> 0;
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

  #openShort(ring: Buffer, from: number, to: number): Buffer {
    const plain = Buffer.allocUnsafe(to - from);
    if (!this.#short.open(this.#iv, ring, from, to, plain)) throw forged();
    return plain;
  }

  #openLong(ring: Buffer, at: number, tagAt: number): Buffer {
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv);
    decipher.setAAD(ring.subarray(at, at + 4));
    decipher.setAuthTag(ring.subarray(tagAt, tagAt + tagBytes));
    const plain = decipher.update(ring.subarray(at + 4, tagAt));
    try {
      decipher.final();
    } catch (error) {
      throw forged(error);
    }
    return plain;
  }
}

function forged(cause?: unknown): CodedError {
  return violation("a packet failed its authentication", cause);
}
