import { MAX_RECEIVED_PAYLOAD } from "./limits.ts";
import type { Opener, PayloadSink } from "./opener.ts";
import { isGcmInJavaScript, type OnPayload, type Ssh2Decipher } from "./ssh2-shape.ts";
import { violation } from "./violation.ts";

/** What ssh2's decipher gets at once: the payloads in it share its memory. */
const chunkBytes = 64 * 1024;
/** ssh2's deciphers refuse packets of more than 35 000 bytes. */
const ssh2Payload = 32 * 1024;
/** Smaller payloads are copied out, so that a slow reader with little never keeps a chunk. */
const sharedBytes = 8 * 1024;

/**
 * Every cipher that is not AES-GCM in JavaScript (and that one until a packet that ssh2 has begun is whole): ssh2's
 * decipher opens the packets, the rest is the data path's.
 */
export class Ssh2Opener implements Opener {
  _onPayload: OnPayload;
  readonly maxPayload: number;
  readonly #decipher: Ssh2Decipher;

  constructor(decipher: Ssh2Decipher) {
    this.#decipher = decipher;
    this._onPayload = decipher._onPayload;
    this.maxPayload = isGcmInJavaScript(decipher) ? MAX_RECEIVED_PAYLOAD : ssh2Payload;
  }

  get inSeqno(): number {
    return this.#decipher.inSeqno;
  }

  set inSeqno(value: number) {
    this.#decipher.inSeqno = value;
  }

  /** The decipher underneath. */
  get decipher(): Ssh2Decipher {
    return this.#decipher;
  }

  run(ring: Buffer, start: number, end: number, sink: PayloadSink): number {
    let isEnded = false;
    this.#decipher._onPayload = (payload) => {
      const bytes =
        payload.length < sharedBytes
          ? Buffer.from(payload)
          : Buffer.from(payload.buffer, payload.byteOffset, payload.length);
      isEnded = sink(bytes, 0, bytes.length);
      return isEnded ? false : undefined;
    };
    let at = start;
    while (at < end && !isEnded) {
      // A copy: ssh2 decrypts in place and keeps views until a packet is whole, and the ring is written to meanwhile.
      const chunk = Buffer.from(ring.subarray(at, Math.min(end, at + chunkBytes)));
      const taken = this.#decrypt(chunk);
      at += taken;
    }
    return at;
  }

  free(): void {
    this.#decipher.free();
  }

  decrypt(): never {
    throw new Error("bytes of the server went past the data path");
  }

  #decrypt(chunk: Buffer): number {
    try {
      const stoppedAt = this.#decipher.decrypt(chunk, 0, chunk.length);
      return stoppedAt === undefined ? chunk.length : Math.min(stoppedAt, chunk.length);
    } catch (error) {
      if (/Invalid MAC|authenticate|Bad packet length|Invalid packet/iu.test(String(error)))
        throw violation("a packet failed its authentication or is too long", error);
      throw error;
    }
  }
}
