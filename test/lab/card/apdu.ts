/** A command to a card (ISO 7816-4, 5.1), short or extended. */
export interface CommandApdu {
  /** More commands of the same chain follow. */
  readonly isChained: boolean;
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  readonly data: Buffer;
  /** Longest answer the reader takes, in bytes. */
  readonly maxAnswerBytes: number;
}

export const statusWord = {
  ok: 0x9000,
  triesLeft: 0x63c0,
  securityStatusNotSatisfied: 0x6982,
  pinBlocked: 0x6983,
  conditionsNotSatisfied: 0x6985,
  wrongData: 0x6a80,
  notFound: 0x6a82,
  wrongParameters: 0x6a86,
  referenceNotFound: 0x6a88,
  unknownInstruction: 0x6d00,
} as const;

export const encodeStatus = (status: number): Buffer => Buffer.of(status >> 8, status & 0xff);

export function decodeApdu(bytes: Buffer): CommandApdu {
  const [cla = 0, ins = 0, p1 = 0, p2 = 0] = bytes;
  const header = { isChained: (cla & 0x10) !== 0, ins, p1, p2 };
  if (bytes.length <= 4) return { ...header, data: Buffer.alloc(0), maxAnswerBytes: 256 };
  if (bytes.length === 5)
    return { ...header, data: Buffer.alloc(0), maxAnswerBytes: bytes.readUInt8(4) || 256 };
  if (bytes[4] !== 0) {
    const end = 5 + bytes.readUInt8(4);
    const le = bytes.length > end ? bytes.readUInt8(end) : 0;
    return { ...header, data: bytes.subarray(5, end), maxAnswerBytes: le || 256 };
  }
  if (bytes.length === 7)
    return { ...header, data: Buffer.alloc(0), maxAnswerBytes: bytes.readUInt16BE(5) || 65_536 };
  const end = 7 + bytes.readUInt16BE(5);
  const le = bytes.length >= end + 2 ? bytes.readUInt16BE(end) : 0;
  return { ...header, data: bytes.subarray(7, end), maxAnswerBytes: le || 65_536 };
}
