import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeMpint, encodeString, encodeUint32, WireReader } from "./wire.ts";

describe("WireReader", () => {
  test("reads what was written", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), fc.nat(0xffffffff), (strings, number) => {
        const reader = new WireReader(Buffer.concat([...strings.map(encodeString), encodeUint32(number)]));
        for (const string of strings) expect(reader.string()).toEqual(Buffer.from(string));
        expect(reader.uint32()).toBe(number);
        reader.end();
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test("throws a RangeError on anything short, and never reads beyond the end", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const reader = new WireReader(bytes);
        try {
          for (;;) reader.string();
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
        expect(reader.remaining).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("refuses trailing bytes and names that are not ASCII", () => {
    expect(() => new WireReader(Buffer.of(1)).end()).toThrow(RangeError);
    expect(() => new WireReader(encodeString("é")).name()).toThrow(RangeError);
    expect(() => new WireReader(encodeString("a\nb")).name()).toThrow(RangeError);
  });
});

test.each([
  // RFC 4251, section 5
  ["", "00000000"],
  ["00", "00000000"],
  ["09a378f9b2e332a7", "0000000809a378f9b2e332a7"],
  ["80", "000000020080"],
  ["0000007f", "000000017f"],
])("the mpint of %j is %s", (magnitude, expected) => {
  expect(encodeMpint(Buffer.from(magnitude, "hex")).toString("hex")).toBe(expected);
});
