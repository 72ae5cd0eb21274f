/** BER-TLV as PIV uses it (ISO 7816-4, 5.2.2): tags of one or two bytes, definite lengths. */
export function encodeTlv(tag: string, ...values: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(values);
  const { length } = value;
  const encodedLength =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(tag, "hex"), Buffer.from(encodedLength), value]);
}

/** The objects of one level by their one-byte tag. Malformed input gives what was readable before the fault. */
export function decodeTlv(bytes: Uint8Array): Map<number, Buffer> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const objects = new Map<number, Buffer>();
  let offset = 0;
  while (offset + 2 <= source.length) {
    const tag = source.readUInt8(offset);
    let length = source.readUInt8(offset + 1);
    offset += 2;
    if (length > 0x80) {
      const lengthBytes = length - 0x80;
      if (lengthBytes > 4 || offset + lengthBytes > source.length) break;
      length = source.readUIntBE(offset, lengthBytes);
      offset += lengthBytes;
    }
    objects.set(tag, source.subarray(offset, offset + length));
    offset += length;
  }
  return objects;
}
