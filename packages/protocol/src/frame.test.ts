import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBody, encodeFrame, FrameDecoder } from "./frame.ts";
import { MAX_FRAME_BYTES } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { comparable, splits, wireValue } from "./testing/index.ts";

interface Outcome {
  messages: WireValue[];
  code: string | undefined;
  mostBuffered: number;
}

/** What a decoder makes of `chunks` and the end of the stream. */
function decode(chunks: readonly Uint8Array[]): Outcome {
  const decoder = new FrameDecoder();
  const outcome: Outcome = { messages: [], code: undefined, mostBuffered: 0 };
  try {
    for (const chunk of chunks) {
      for (const message of decoder.push(chunk)) outcome.messages.push(comparable(message));
      outcome.mostBuffered = Math.max(outcome.mostBuffered, decoder.buffered);
    }
    decoder.end();
  } catch (error) {
    outcome.code = (error as { code: string }).code;
  }
  return outcome;
}

describe("a frame", () => {
  test("is its length as uint32 and a MessagePack body", () => {
    expect(encodeFrame({ a: 1, b: [true, null, "x"] }).toString("hex")).toBe(
      "0000000b82a16101a16293c3c0a178",
    );
  });

  test("leaves undefined fields out", () => {
    expect(encodeFrame({ a: 1, b: undefined })).toEqual(encodeFrame({ a: 1 }));
  });

  test("brings every plain value back", () => {
    fc.assert(
      fc.property(wireValue, (value) => {
        expect(decode([encodeFrame(value)])).toMatchObject({
          messages: [comparable(value)],
          code: undefined,
        });
      }),
    );
  });

  test("brings integers up to 2^53 - 1 back as numbers, and refuses to send a larger one", () => {
    const numbers = [2 ** 31, -(2 ** 31) - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    expect(decode([encodeFrame(numbers)]).messages).toEqual([numbers]);
    for (const hex of ["cf001fffffffffffff", "d3ffe0000000000001"]) {
      expect(Number.isSafeInteger(decodeBody(Buffer.from(hex, "hex")))).toBe(true);
    }
  });

  test("replaces halves of surrogate pairs, so that the other side does not close over them", () => {
    expect(decode([encodeFrame({ text: "a\ud800b\u{1f600}\udc00" })]).messages).toEqual([
      { text: "a\ufffdb\u{1f600}\ufffd" },
    ]);
  });

  test.each([
    ["a Date", new Date(0)],
    ["a Map", new Map()],
    ["a Set", new Set()],
    ["a bigint", 1n],
    ["a function", () => 1],
    ["NaN", Number.NaN],
    ["an infinite number", Number.POSITIVE_INFINITY],
    ["a class instance", new (class Own {})()],
    ["undefined in an array", [undefined]],
    ["an own __proto__", JSON.parse('{"__proto__": 1}')],
    ["too deep a nesting", JSON.parse(`${"[".repeat(17)}${"]".repeat(17)}`)],
    ["too many values", new Array(20_000).fill(0)],
    ["too long a key", { ["\u20ac".repeat(86)]: 1 }],
    ["half a surrogate pair in a key", { "a\ud800": 1 }],
    ["too many keys", Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`k${index}`, index]))],
    ["more than a frame holds", new Uint8Array(MAX_FRAME_BYTES)],
  ])("refuses to send %s, as a bug of the caller", (_name, value) => {
    expect(() => encodeFrame({ value } as never)).toThrow(/message|reasonable/);
    expect(() => encodeFrame({ value } as never)).not.toThrow(/undefined is not|Maximum call stack/);
  });
});

describe("FrameDecoder", () => {
  test("decodes any split of any frames to the same messages", () => {
    const cases = fc.array(wireValue, { maxLength: 6 }).chain((values) => {
      const bytes = Buffer.concat(values.map(encodeFrame));
      return fc.tuple(fc.constant(values), splits(bytes));
    });
    fc.assert(
      fc.property(cases, ([values, chunks]) => {
        expect(decode(chunks)).toMatchObject({ messages: values.map(comparable), code: undefined });
      }),
    );
  });

  test("makes of any bytes, however they are split, the same messages and at most one protocol.bad-message", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      // Frames whose length is right and whose body is anything get past the first check.
      fc
        .array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 6 })
        .map((bodies) =>
          Buffer.concat(bodies.map((body) => Buffer.concat([Buffer.from([0, 0, 0, body.length]), body]))),
        ),
    );
    const cases = noise.chain((bytes) =>
      fc.tuple(fc.constant(Buffer.from(bytes)), splits(Buffer.from(bytes))),
    );
    fc.assert(
      fc.property(cases, ([whole, chunks]) => {
        const outcome = decode(chunks);
        expect([undefined, "protocol.bad-message"]).toContain(outcome.code);
        const { messages, code } = decode([whole]);
        expect(outcome).toMatchObject({ messages, code });
      }),
      { numRuns: 2000 },
    );
  });

  test("makes of any change to a good frame messages or one protocol.bad-message", () => {
    const changed = fc.tuple(wireValue, fc.nat(), fc.nat({ max: 255 })).map(([value, at, byte]) => {
      const frame = encodeFrame(value);
      frame[at % frame.length] = byte;
      return frame;
    });
    fc.assert(
      fc.property(changed, (frame) => {
        expect([undefined, "protocol.bad-message"]).toContain(decode([frame]).code);
      }),
      { numRuns: 2000 },
    );
  });

  test("refuses a frame over the limit by its length alone, keeping none of it", () => {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(MAX_FRAME_BYTES + 1);
    const outcome = decode([prefix, Buffer.alloc(1000)]);
    expect(outcome).toEqual({ messages: [], code: "protocol.bad-message", mostBuffered: 0 });
  });

  test("refuses an empty frame", () => {
    expect(decode([Buffer.alloc(4)]).code).toBe("protocol.bad-message");
  });

  test("refuses an end within a length and within a body", () => {
    const frame = encodeFrame({ text: "hello" });
    expect(decode([frame.subarray(0, 2)]).code).toBe("protocol.bad-message");
    expect(decode([frame.subarray(0, 9)]).code).toBe("protocol.bad-message");
    expect(decode([frame]).code).toBeUndefined();
  });

  test("goes on failing after a failure", () => {
    const decoder = new FrameDecoder();
    expect(() => [...decoder.push(Buffer.from([0, 0, 0, 1, 0xc1]))]).toThrow("broke the protocol");
    expect(() => [...decoder.push(encodeFrame({}))]).toThrow("broke the protocol");
  });

  test("takes a frame of a mebibyte byte by byte in time that grows with its length only", () => {
    const frame = encodeFrame({ bytes: new Uint8Array(MAX_FRAME_BYTES - 64) });
    const started = performance.now();
    const decoder = new FrameDecoder();
    let count = 0;
    for (let at = 0; at < frame.length; at += 1) {
      for (const _ of decoder.push(frame.subarray(at, at + 1))) count += 1;
    }
    expect(count).toBe(1);
    // Concatenating at each byte would copy half a terabyte.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test("keeps bytes apart from the chunk that they came in", () => {
    const chunk = encodeFrame({ bytes: new Uint8Array([1, 2, 3]) });
    const [message] = [...new FrameDecoder().push(chunk)];
    chunk.fill(0xff);
    expect(comparable(message as WireValue)).toEqual({ bytes: new Uint8Array([1, 2, 3]) });
  });
});
