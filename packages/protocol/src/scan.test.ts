import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBody } from "./frame.ts";
import { MAX_DEPTH, MAX_FRAME_BYTES, MAX_MAP_KEYS, MAX_VALUES } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { FORBIDDEN_KEYS, scanBody } from "./scan.ts";
import { comparable, wireValue } from "./testing/arbitrary.ts";

const scan = (hex: string) => () => scanBody(Buffer.from(hex.replaceAll(" ", ""), "hex"));

describe("scanBody", () => {
  test.each([
    ["nil and booleans", "93 c0 c2 c3"],
    ["fixed integers", "92 7f e0"],
    [
      "sized integers",
      "98 ccff cdffff ceffffffff cf001fffffffffffff d080 d18000 d280000000 d3ffe0000000000001",
    ],
    ["floats", "92 ca3fc00000 cb3ff8000000000000"],
    ["strings of each size", "94 a161 d90161 da000161 db0000000161"],
    ["bytes of each size", "93 c401ff c50001ff c600000001ff"],
    ["arrays of each size", "93 90 dc000190 dd0000000190"],
    ["maps of each size", "93 80 de0001a16180 df00000001d9016180"],
    ["nesting of 16", `${"91".repeat(15)}90`],
  ])("lets %s through", (_name, hex) => {
    expect(scan(hex)).not.toThrow();
  });

  test.each([
    ["nothing", "", "can't hold"],
    ["the byte that is never used", "c1", "type 0xc1"],
    ["fixext 1, 2, 4, 8, 16", "d40000", "type 0xd4"],
    ["a record of msgpackr", "d8 00000000000000000000000000000000 00", "type 0xd8"],
    ["a timestamp", "d6ff00000000", "type 0xd6"],
    ["a fixext of eight", "d7ff0000000000000000", "type 0xd7"],
    ["a fixext of two", "d5000000", "type 0xd5"],
    ["ext 8, 16, 32", "c7010000", "type 0xc7"],
    ["ext 16", "c800010000", "type 0xc8"],
    ["ext 32", "c9000000010000", "type 0xc9"],
    ["nesting of 17", `${"91".repeat(16)}90`, "nesting deeper than 16"],
    ["an integer of 2^53", "cf0020000000000000", "beyond 2^53"],
    ["an integer of -2^53", "d3ffe0000000000000", "beyond 2^53"],
    ["NaN", "cb7ff8000000000000", "not finite"],
    ["infinity as a short float", "ca7f800000", "not finite"],
    ["a key that is a number", "810102", "not a string"],
    ["a key that is bytes", "81c4016101", "not a string"],
    ["the key __proto__", "81a95f5f70726f746f5f5f80", "not allowed"],
    ["the key constructor in an inner map", "9181ab636f6e7374727563746f7280", "not allowed"],
    ["the key prototype as str 8", "81d90970726f746f7479706580", "not allowed"],
    ["a key twice", "82a16101a16102", "twice"],
    ["a key twice, in two encodings", "82a16101d9016102", "twice"],
    ["a key that is too long", `81da0100${"61".repeat(256)}01`, "too long"],
    ["a string that is not UTF-8", "a2c328", "not UTF-8"],
    ["a surrogate in UTF-8", "a3eda080", "not UTF-8"],
    ["an overlong slash", "a2c0af", "not UTF-8"],
    ["bytes behind the message", "c0c0", "behind the message"],
    ["a string longer than the frame", "a361", "can't hold"],
    ["bytes longer than the frame", "c6ffffffff00", "can't hold"],
    ["an array of four milliards", "ddffffffff", "a count that the frame can't hold"],
    ["a map of more than follows", "83a16101", "a count that the frame can't hold"],
    ["a map of four milliards", "dfffffffff", "more than 256 keys"],
    ["a map with half a pair", "81a161", "can't hold"],
    ["a number cut short", "cb3ff8", "can't hold"],
    ["a length cut short", "da00", "can't hold"],
  ])("refuses %s", (_name, hex, message) => {
    expect(scan(hex)).toThrow(
      expect.objectContaining({ code: "protocol.bad-message", message: expect.stringContaining(message) }),
    );
  });

  test("refuses a frame full of array openings, which would overflow a stack", () => {
    expect(() => scanBody(Buffer.alloc(MAX_FRAME_BYTES, 0x91))).toThrow("nesting deeper");
  });

  test("refuses a frame full of tiny values, which would grow in memory", () => {
    const body = Buffer.alloc(MAX_FRAME_BYTES, 0x80);
    body[0] = 0xdd;
    body.writeUInt32BE(body.length - 5, 1);
    expect(() => scanBody(body)).toThrow("more than 16384 values");
  });
});

/** A big-endian number of that many bytes. */
const big = (value: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  bytes.writeUIntBE(value, 0, length);
  return bytes;
};

/** MessagePack by the specification, written anew for this test; of the forms that a value may have, `choose` takes one. */
function written(value: WireValue, choose: (forms: number) => number): Buffer {
  const sized = (
    fixed: Buffer | undefined,
    heads: readonly [head: number, bytes: number][],
    length: number,
  ): Buffer => {
    const wide = heads
      .filter(([, bytes]) => length < 2 ** (8 * bytes))
      .map(([head, bytes]) => Buffer.concat([Buffer.of(head), big(length, bytes)]));
    const forms = fixed === undefined ? wide : [fixed, ...wide];
    return forms[choose(forms.length)] as Buffer;
  };
  if (value === null || value === undefined) return Buffer.of(0xc0);
  if (typeof value === "boolean") return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") {
    const double = Buffer.alloc(9, 0xcb);
    double.writeDoubleBE(value, 1);
    if (!Number.isSafeInteger(value)) return double;
    const int64 = Buffer.alloc(9, value < 0 ? 0xd3 : 0xcf);
    int64.writeBigInt64BE(BigInt(value), 1);
    return choose(2) === 0 ? double : int64;
  }
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    const fixed = bytes.length < 32 ? Buffer.of(0xa0 | bytes.length) : undefined;
    return Buffer.concat([
      sized(
        fixed,
        [
          [0xd9, 1],
          [0xda, 2],
          [0xdb, 4],
        ],
        bytes.length,
      ),
      bytes,
    ]);
  }
  if (value instanceof Uint8Array) {
    return Buffer.concat([
      sized(
        undefined,
        [
          [0xc4, 1],
          [0xc5, 2],
          [0xc6, 4],
        ],
        value.length,
      ),
      value,
    ]);
  }
  const items = Array.isArray(value) ? value : Object.entries(value).flat();
  const count = Array.isArray(value) ? items.length : items.length / 2;
  const [fix, wide] = Array.isArray(value) ? [0x90, 0xdc] : [0x80, 0xde];
  const fixed = count < 16 ? Buffer.of(fix | count) : undefined;
  const body = items.map((item) => written(item as WireValue, choose));
  return Buffer.concat([
    sized(
      fixed,
      [
        [wide, 2],
        [wide + 1, 4],
      ],
      count,
    ),
    ...body,
  ]);
}

/** What a value is made of, counted from the outside. */
function measure(value: WireValue): { values: number; depth: number; keys: number } {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array)
    return { values: 1, depth: 0, keys: 0 };
  const items = Array.isArray(value) ? value : Object.values(value);
  const inner = items.map((item) => measure(item as WireValue));
  return {
    values: inner.reduce((sum, { values }) => sum + values, 1),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    keys: Math.max(Array.isArray(value) ? 0 : items.length, ...inner.map(({ keys }) => keys)),
  };
}

describe("what scanBody lets through", () => {
  test("is every value, in whatever form MessagePack has for it, and msgpackr reads the same", () => {
    fc.assert(
      fc.property(wireValue, fc.infiniteStream(fc.nat()), (value, choices) => {
        const body = written(value, (forms) => (choices.next().value as number) % forms);
        scanBody(body);
        expect(comparable(decodeBody(body))).toEqual(comparable(value));
      }),
      { numRuns: 500 },
    );
  });

  test("is within the limits, and plain, whatever bytes it was made of", () => {
    const byte = fc.oneof(
      fc.nat({ max: 255 }),
      fc.constantFrom(
        0x80,
        0x81,
        0x82,
        0x90,
        0x91,
        0x92,
        0xa0,
        0xa1,
        0xc0,
        0xc4,
        0xd9,
        0xdc,
        0xde,
        0xdf,
        0x01,
        0x61,
      ),
    );
    let passed = 0;
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 60 }), (bytes) => {
        const body = Buffer.from(bytes);
        try {
          scanBody(body);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("protocol.bad-message");
          return;
        }
        passed += 1;
        const value = decodeBody(body);
        const { values, depth, keys } = measure(value);
        expect([values <= MAX_VALUES, depth <= MAX_DEPTH, keys <= MAX_MAP_KEYS]).toEqual([true, true, true]);
        expect(JSON.stringify(value)).not.toMatch(
          new RegExp([...FORBIDDEN_KEYS].map((key) => `"${key}":`).join("|")),
        );
      }),
      { numRuns: 10_000 },
    );
    expect(passed).toBeGreaterThan(300);
  });
});
