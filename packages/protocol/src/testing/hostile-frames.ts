import { encodeFrame } from "../frame.ts";
import { MAX_FRAME_BYTES } from "../limits.ts";
import type { WireValue } from "../message-stream.ts";

export interface HostileFrame {
  readonly name: string;
  /** Made when asked for: some are large. */
  readonly bytes: () => Buffer;
}

const framed = (body: Uint8Array): Buffer => {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(body.length);
  return Buffer.concat([prefix, body]);
};
const hex = (text: string) => () => framed(Buffer.from(text, "hex"));
const message = (value: Record<string, unknown>) => () => encodeFrame(value as WireValue);
/** A good message, whose one text `CUT` is replaced by these bytes of MessagePack. */
const withBytes = (value: Record<string, unknown>, bytes: Uint8Array) => (): Buffer => {
  const body = encodeFrame(value as WireValue).subarray(4);
  const cut = Buffer.from([0xa3, 0x43, 0x55, 0x54]);
  const at = body.indexOf(cut);
  if (at < 0) throw new Error("there is no CUT in this message");
  return framed(Buffer.concat([body.subarray(0, at), bytes, body.subarray(at + cut.length)]));
};
const textOf = (text: string) => Buffer.concat([Buffer.of(0xa0 | text.length), Buffer.from(text)]);
const event = (data: unknown, name = "relay.open") => ({ kind: "event", name, data });
const relay = { forwardId: "1", relayId: 1, peer: "127.0.0.1:1", uid: 0 };
const sign = {
  hopId: "hop-1",
  data: new Uint8Array(9),
  hostKey: new Uint8Array(9),
  serverSignature: new Uint8Array(9),
};

/** What an agent may never send once it has said hello: each breaks the protocol, and ends the channel with `protocol.bad-message`. */
export const hostileFrames: readonly HostileFrame[] = [
  // Sizes
  { name: "the length of a frame over the limit", bytes: () => Buffer.from([0, 0x10, 0, 1]) },
  { name: "the length of 4 GiB", bytes: () => Buffer.from([0xff, 0xff, 0xff, 0xff]) },
  { name: "a frame of no bytes", bytes: () => Buffer.alloc(4) },
  { name: "the longest frame, full of nesting", bytes: () => framed(Buffer.alloc(MAX_FRAME_BYTES, 0x91)) },
  {
    name: "nesting of 20 levels",
    bytes: withBytes(
      event({ ...relay, more: "CUT" }),
      Buffer.concat([Buffer.alloc(20, 0x91), Buffer.of(0xc0)]),
    ),
  },
  { name: "a map that says it has 2^32 - 1 keys", bytes: hex("dfffffffff") },
  { name: "an array that says it has 2^32 - 1 items", bytes: hex("ddffffffff") },
  { name: "a text that says it has 2^32 - 1 bytes", bytes: hex("dbffffffff") },
  { name: "bytes that say they are 2^32 - 1", bytes: hex("c6ffffffff") },
  {
    name: "a map of a million empty keys",
    bytes: () =>
      framed(Buffer.concat([Buffer.from("df000f0000", "hex"), Buffer.alloc(MAX_FRAME_BYTES - 5, 0xa0)])),
  },
  {
    name: "an array of a million nothings",
    bytes: () =>
      framed(Buffer.concat([Buffer.from("dd000ffffb", "hex"), Buffer.alloc(MAX_FRAME_BYTES - 5, 0xc0)])),
  },
  {
    name: "257 keys in one map",
    bytes: () => {
      const keys = Array.from({ length: 257 }, (_, index) =>
        Buffer.concat([
          Buffer.from([0xa4]),
          Buffer.from(`k${String(index).padStart(3, "0")}`),
          Buffer.from([0xc0]),
        ]),
      );
      return framed(Buffer.concat([Buffer.from([0xde, 1, 1]), ...keys]));
    },
  },
  // Bodies
  { name: "nothing but nil", bytes: hex("c0") },
  {
    name: "bytes behind a message",
    bytes: () => framed(Buffer.concat([encodeFrame({ kind: "cancel", id: 1 }).subarray(4), Buffer.of(0xc0)])),
  },
  { name: "half a message", bytes: () => framed(encodeFrame(event(relay) as WireValue).subarray(4, 30)) },
  {
    name: "an extension type",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from([0xd4, 0x01, 0x00])),
  },
  {
    name: "a date",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from([0xd6, 0xff, 0, 0, 0, 0])),
  },
  {
    name: "a record of msgpackr",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from([0xd4, 0x72, 0x40, 0x90])),
  },
  {
    name: "a number that is none",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from("cb7ff8000000000000", "hex")),
  },
  {
    name: "an integer of 64 bits",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from("cfffffffffffffffff", "hex")),
  },
  {
    name: "a text that is no UTF-8",
    bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from([0xa2, 0xc3, 0x28])),
  },
  { name: "a reserved byte", bytes: withBytes(event({ ...relay, peer: "CUT" }), Buffer.from([0xc1])) },
  // Keys, of fields that would be passed over in a message that is good besides
  ...["__proto__", "constructor", "prototype"].map((key) => ({
    name: `a key ${key}`,
    bytes: withBytes(event({ ...relay, CUT: { x: 1 } }), textOf(key)),
  })),
  { name: "a key twice", bytes: withBytes(event({ ...relay, CUT: 1 }), textOf("relayId")) },
  { name: "a number for a key", bytes: withBytes(event({ ...relay, CUT: 1 }), Buffer.of(1)) },
  // Envelopes
  { name: "an envelope of no kind", bytes: message({ kind: "toString" }) },
  { name: "an id that is no number", bytes: message({ kind: "response", id: "1", result: {} }) },
  { name: "an id of 0", bytes: message({ kind: "request", id: 0, name: "identity.sign", params: sign }) },
  {
    name: "an answer to what was not asked",
    bytes: message({ kind: "response", id: 4_711, result: { bound: [] } }),
  },
  {
    name: "a failure of what was not asked",
    bytes: message({ kind: "failure", id: 4_711, error: { code: "x", message: "y" } }),
  },
  { name: "the cancel of what it never asked", bytes: message({ kind: "cancel", id: 4_711 }) },
  {
    name: "one id twice",
    bytes: () => {
      const request = encodeFrame({ kind: "request", id: 7, name: "identity.sign", params: sign });
      return Buffer.concat([request, request]);
    },
  },
  // Types
  {
    name: "params that are no map",
    bytes: message({ kind: "request", id: 1, name: "identity.sign", params: [] }),
  },
  {
    name: "params without a field",
    bytes: message({ kind: "request", id: 1, name: "identity.sign", params: { hopId: "x" } }),
  },
  {
    name: "text for bytes",
    bytes: message({ kind: "request", id: 1, name: "identity.sign", params: { ...sign, data: "text" } }),
  },
  {
    name: "data to be signed that is too long",
    bytes: message({
      kind: "request",
      id: 1,
      name: "identity.sign",
      params: { ...sign, data: new Uint8Array(16_385) },
    }),
  },
  { name: "a text that is too long", bytes: message(event({ ...relay, peer: "x".repeat(8_193) })) },
  {
    name: "a count below 0",
    bytes: message(
      event({ ...relay, bytesIn: -1, bytesOut: 0, durationMs: 0, reason: "end" }, "relay.close"),
    ),
  },
  {
    name: "half a byte",
    bytes: message(
      event({ ...relay, bytesIn: 0.5, bytesOut: 0, durationMs: 0, reason: "end" }, "relay.close"),
    ),
  },
  { name: "a reason that there is not", bytes: message(event({ reason: "toString" }, "agent.ending")) },
  { name: "an error that is none", bytes: message(event({ hopId: "hop-1", error: "boom" }, "hop.lost")) },
  {
    name: "an error whose data has a key for the terminal",
    bytes: message(
      event(
        { hopId: "hop-1", error: { code: "x", message: "y", data: { "\u001b[2J\u202e": [] } } },
        "hop.lost",
      ),
    ),
  },
  // Lies
  {
    name: "a relay of a forward that it was not asked for",
    bytes: message(event({ ...relay, forwardId: "no" })),
  },
  {
    name: "a lost hop that it was not asked for",
    bytes: message(event({ hopId: "no", error: { code: "x", message: "y" } }, "hop.lost")),
  },
  {
    name: "a hop with a host key that was not declared",
    bytes: message(
      event({ hopId: "hop-1", user: "u", host: "h", port: 22, hostKey: new Uint8Array(51) }, "hop.connected"),
    ),
  },
];
