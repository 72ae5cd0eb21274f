/** SSH's data types (RFC 4251, section 5). Reading throws `RangeError` on short input; `end()` on trailing bytes. */

export class WireReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** A view of the string's bytes, not a copy. */
  string(): Buffer {
    return this.#take(this.uint32());
  }

  /** A string that must be ASCII: a name from a protocol. */
  name(): string {
    const bytes = this.string();
    if (bytes.some((byte) => byte < 0x20 || byte > 0x7e))
      throw new RangeError("a name holds bytes that are not printable ASCII");
    return bytes.toString("latin1");
  }

  end(): void {
    if (this.remaining !== 0) throw new RangeError(`${this.remaining} bytes too many`);
  }

  #take(length: number): Buffer {
    if (length > this.remaining) throw new RangeError(`wanted ${length} bytes, ${this.remaining} are left`);
    const taken = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return taken;
  }
}

export function encodeUint32(value: number): Buffer {
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32BE(value);
  return encoded;
}

export function encodeString(value: Uint8Array | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  return Buffer.concat([encodeUint32(bytes.length), bytes]);
}

/** An unsigned big-endian number as an mpint: no leading zeros but the one that keeps it positive. */
export function encodeMpint(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length && magnitude[start] === 0) start += 1;
  const digits = magnitude.subarray(start);
  const isNegativeLooking = digits.length > 0 && ((digits[0] ?? 0) & 0x80) !== 0;
  return encodeString(isNegativeLooking ? Buffer.concat([Buffer.of(0), digits]) : digits);
}
