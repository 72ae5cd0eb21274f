import { createCipheriv, type KeyObject } from "node:crypto";
import { Ghash } from "./ghash.ts";
import type { GcmKeys } from "./ssh2-shape.ts";

const blockBytes = 16;
const ivBytes = 12;
/** Blocks of a packet that are encrypted at most; a further one masks its tag. */
const mostBlocks = 8;
const slotBytes = (1 + mostBlocks) * blockBytes;
/** Packets whose key stream is made at once. */
const slots = 16;

/** The longest packet that `ShortGcm` takes: what is encrypted of it, without its tag. */
export const SHORT_BYTES = mostBlocks * blockBytes;

/**
 * AES-GCM (NIST SP 800-38D) as SSH has it (RFC 5647) for short packets: node:crypto makes objects for each packet that cost ten times what
 * its cipher does, and most of what a short connection says fits in a few blocks. AES is node:crypto's, for many packets in one
 * call, and only the multiplication is here (`Ghash`). No key stream is used twice: it belongs to one IV, which is compared.
 */
export class ShortGcm {
  readonly #cipher: ReturnType<typeof createCipheriv>;
  readonly #ghash: Ghash;
  /** By length in blocks: the hash of the length field alone, which is what is authenticated and not encrypted. */
  readonly #afterLength: (Int32Array | undefined)[] = [];
  readonly #counters = Buffer.alloc(slots * slotBytes);
  #stream = Buffer.alloc(0);
  /** Of the first packet that the key stream is for. */
  readonly #firstIv = Buffer.alloc(ivBytes);
  readonly #tag = Buffer.alloc(blockBytes);

  constructor(name: GcmKeys["name"], key: KeyObject) {
    const ecb = name === "aes-128-gcm" ? "aes-128-ecb" : "aes-256-ecb";
    this.#cipher = createCipheriv(ecb, key, null).setAutoPadding(false);
    this.#ghash = new Ghash(this.#cipher.update(Buffer.alloc(blockBytes)));
    for (let at = 0; at < this.#counters.length; at += blockBytes)
      this.#counters.writeUInt32BE(1 + (at % slotBytes) / blockBytes, at + ivBytes);
  }

  /** Encrypts `bytes[from..to)`, whole blocks, to `out[at..)` and puts the tag behind it. */
  seal(iv: Buffer, bytes: Buffer, from: number, to: number, out: Buffer, at: number): void {
    const slot = this.#slotOf(iv);
    const count = to - from;
    this.#mask(slot, bytes, from, count, out, at);
    this.#authenticate(slot, out, at, count).copy(out, at + count);
  }

  /** Decrypts `bytes[from..to)`, which its tag follows, to `out[0..)`; false where it is not genuine. */
  open(iv: Buffer, bytes: Buffer, from: number, to: number, out: Buffer): boolean {
    const slot = this.#slotOf(iv);
    const tag = this.#authenticate(slot, bytes, from, to - from);
    let difference = 0;
    for (let index = 0; index < blockBytes; index += 1)
      difference |= (tag[index] as number) ^ (bytes[to + index] as number);
    if (difference !== 0) return false;
    this.#mask(slot, bytes, from, to - from, out, 0);
    return true;
  }

  #mask(slot: number, bytes: Buffer, from: number, count: number, out: Buffer, at: number): void {
    const stream = this.#stream;
    for (let index = 0; index < count; index += 1)
      out[at + index] = (bytes[from + index] as number) ^ (stream[slot + blockBytes + index] as number);
  }

  /** The tag of the encrypted `bytes[from..from + count)`; good until the next. */
  #authenticate(slot: number, bytes: Buffer, from: number, count: number): Buffer {
    const ghash = this.#ghash;
    const { state } = ghash;
    state.set(this.#hashOfLength(count));
    for (let at = from; at < from + count; at += blockBytes) ghash.block(bytes, at);
    // Bits of what was authenticated alone, and of what was encrypted.
    ghash.words(count * 8, 0, 32, 0);
    for (let word = 0; word < 4; word += 1) {
      const mask = this.#stream.readInt32BE(slot + 4 * word);
      this.#tag.writeInt32BE((state[3 - word] as number) ^ mask, 4 * word);
    }
    return this.#tag;
  }

  #hashOfLength(count: number): Int32Array {
    const known = this.#afterLength[count / blockBytes];
    if (known !== undefined) return known;
    this.#ghash.state.fill(0);
    this.#ghash.words(0, 0, 0, count);
    const hash = this.#ghash.state.slice();
    this.#afterLength[count / blockBytes] = hash;
    return hash;
  }

  /** Where the key stream of `iv` begins. */
  #slotOf(iv: Buffer): number {
    const first = this.#firstIv;
    const isNear = iv.readInt32BE(4) === first.readInt32BE(4) && iv.readInt32BE(0) === first.readInt32BE(0);
    const ahead = iv.readUInt32BE(8) - first.readUInt32BE(8);
    if (isNear && ahead >= 0 && (ahead + 1) * slotBytes <= this.#stream.length) return ahead * slotBytes;
    const counters = this.#counters;
    if (!isNear) for (let at = 0; at < counters.length; at += blockBytes) iv.copy(counters, at, 0, 8);
    iv.copy(first);
    this.#fill(first.readUInt32BE(8));
    return 0;
  }

  /** Makes the key stream for the packets from `low` on, which is the last four bytes of their IVs; the others are alike. */
  #fill(low: number): void {
    const count = Math.min(slots, 2 ** 32 - low);
    let at = ivBytes - 4;
    for (let slot = 0; slot < count; slot += 1)
      for (let block = 0; block <= mostBlocks; block += 1) {
        this.#counters.writeUInt32BE(low + slot, at);
        at += blockBytes;
      }
    this.#stream = this.#cipher.update(this.#counters.subarray(0, count * slotBytes));
  }
}
