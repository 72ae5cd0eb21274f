import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_PREAMBLE_NOISE_BYTES, MAX_PREAMBLE_STATUS_BYTES } from "./limits.ts";
import { encodePreamble, PreambleScanner } from "./preamble.ts";
import { splits } from "./testing/index.ts";

const NONCE = "0123456789abcdef0123456789abcdef";

interface Found {
  status: string;
  noise: string;
  rest: string;
}

/** What a scanner makes of `chunks`, with everything behind the preamble as rest. */
function scan(chunks: readonly Buffer[]): Found | string {
  const scanner = new PreambleScanner(NONCE);
  try {
    for (const [index, chunk] of chunks.entries()) {
      const found = scanner.push(chunk);
      if (found === undefined) continue;
      const rest = Buffer.concat([found.rest, ...chunks.slice(index + 1)]);
      return { status: found.status, noise: found.noise.toString("latin1"), rest: rest.toString("latin1") };
    }
    return scanner.end();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the preamble", () => {
  test("is found behind noise without a line break, and what follows is kept", () => {
    const bytes = Buffer.concat([
      Buffer.from("Welcome!$ "),
      encodePreamble(NONCE, "agent"),
      Buffer.from("frames"),
    ]);
    expect(scan([bytes])).toEqual({ status: "agent", noise: "Welcome!$ ", rest: "frames" });
  });

  test("is found in any split of any noise, status and rest", () => {
    const cases = fc
      .tuple(
        fc.uint8Array({ maxLength: 200 }),
        fc.string({ unit: "grapheme-ascii", maxLength: 60 }),
        fc.uint8Array({ maxLength: 200 }),
      )
      .chain(([noise, status, rest]) => {
        const bytes = Buffer.concat([noise, encodePreamble(NONCE, status), rest]);
        const latin1 = (part: Uint8Array) => Buffer.from(part).toString("latin1");
        return fc.tuple(splits(bytes), fc.constant({ status, noise: latin1(noise), rest: latin1(rest) }));
      });
    fc.assert(
      fc.property(cases, ([chunks, expected]) => {
        expect(scan(chunks)).toEqual(expected);
      }),
    );
  });

  test("gives the same outcome however hostile bytes are split", () => {
    const marker = encodePreamble(NONCE, "x").subarray(0, -2);
    const pieces = fc.oneof(
      fc
        .constantFrom("\n", "farside-preamble:", `farside-preamble:${NONCE}`, marker.toString(), "\r", "a")
        .map((text) => Buffer.from(text)),
      fc.nat({ max: 40_000 }).map((length) => Buffer.alloc(length, "n")),
    );
    const cases = fc
      .array(pieces, { maxLength: 8 })
      .chain((parts) => fc.tuple(fc.constant(Buffer.concat(parts)), splits(Buffer.concat(parts))));
    fc.assert(
      fc.property(cases, ([whole, chunks]) => {
        expect(scan(chunks)).toEqual(scan([whole]));
      }),
    );
  });

  test("is not one with another nonce", () => {
    expect(scan([encodePreamble("f".repeat(32), "agent")])).toBe("protocol.no-preamble");
  });

  test("may start right at the limit of noise, and not behind it", () => {
    const preamble = encodePreamble(NONCE, "agent");
    const noise = Buffer.alloc(MAX_PREAMBLE_NOISE_BYTES, "n");
    expect(scan([noise, preamble])).toMatchObject({ status: "agent" });
    expect(scan([Buffer.concat([noise, preamble])])).toMatchObject({ status: "agent" });
    expect(scan([noise, Buffer.from("n"), preamble])).toBe("protocol.no-preamble");
    expect(scan([Buffer.concat([noise, Buffer.from("n"), preamble])])).toBe("protocol.no-preamble");
  });

  test("keeps all that follows it in a chunk that is larger than what it may keep itself", () => {
    const noise = Buffer.alloc(MAX_PREAMBLE_NOISE_BYTES - 10, "n");
    const frames = Buffer.alloc(100_000, "f");
    const found = scan([Buffer.concat([noise, encodePreamble(NONCE, "agent"), frames])]) as Found;
    expect(found.rest).toBe(frames.toString());
  });

  test("fails soon on endless noise, and on a status without an end", () => {
    const scanner = new PreambleScanner(NONCE);
    const flood = () => {
      for (let index = 0; index < 100; index += 1) scanner.push(Buffer.alloc(1024, "n"));
    };
    expect(flood).toThrow("no preamble in the first 65536 bytes");
    const endless = Buffer.concat([
      encodePreamble(NONCE, "x").subarray(0, -1),
      Buffer.alloc(MAX_PREAMBLE_STATUS_BYTES, "x"),
    ]);
    expect(scan([endless])).toBe("protocol.no-preamble");
  });

  test("shows the noise with control characters escaped, cut short", () => {
    const scanner = new PreambleScanner(NONCE);
    scanner.push(Buffer.from(`\x1b[31mThis account is not available.\n${"z".repeat(5000)}`));
    try {
      scanner.end();
    } catch (error) {
      const { hint, message } = error as { hint: string; message: string };
      expect(message).toContain("it ended after");
      expect(hint).toContain("\\x1b[31mThis account is not available.\\n");
      expect(hint.length).toBeLessThan(400);
    }
    expect.assertions(3);
  });

  test("says when there was no output at all", () => {
    expect(() => new PreambleScanner(NONCE).end()).toThrow("ended without a byte");
  });

  test("takes a status of one line and a nonce of 128 bits only", () => {
    expect(() => encodePreamble(NONCE, "a\nb")).toThrow(TypeError);
    expect(() => encodePreamble("abc", "agent")).toThrow(TypeError);
    expect(() => new PreambleScanner("abc")).toThrow(TypeError);
  });

  test("cuts a status that is too long, and gives it on escaped", () => {
    const found = scan([encodePreamble(NONCE, `loader-failed:\x1b${"x".repeat(10_000)}`)]) as Found;
    expect(found.status).toMatch(/^loader-failed:\\x1bx+…$/);
    expect(found.status.length).toBeLessThanOrEqual(MAX_PREAMBLE_STATUS_BYTES);
  });
});
