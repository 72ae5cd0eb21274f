import { violation } from "./violation.ts";

/** Message numbers (RFC 4250, 4.1.2). All from `channelOpenConfirmation` on begin with the recipient's channel. */
export const message = {
  disconnect: 1,
  kexInit: 20,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const;

/** Whether `type` is about one channel, named right behind it. */
export function isAboutChannel(type: number): boolean {
  return type >= message.channelOpenConfirmation && type <= message.channelFailure;
}

/** The number at `bytes[at]` of a payload that ends at `end`. */
export function uint32At(bytes: Buffer, at: number, end: number): number {
  if (at + 4 > end) throw violation("a channel message that is cut short");
  return bytes.readUInt32BE(at);
}

/** Where the string at `bytes[at]` begins and ends. */
export function stringAt(bytes: Buffer, at: number, end: number): { from: number; to: number } {
  const length = uint32At(bytes, at, end);
  if (at + 4 + length > end) throw violation("a channel message that is cut short");
  return { from: at + 4, to: at + 4 + length };
}
