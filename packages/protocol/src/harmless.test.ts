import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { harmless } from "./harmless.ts";

describe("harmless", () => {
  test("escapes what moves the cursor, colours, rings or breaks the line", () => {
    expect(harmless("a\x1b[31mred\x07\r\n\tb\x7f\x9b")).toBe("a\\x1b[31mred\\x07\\r\\n\\tb\\x7f\\x9b");
  });

  test("escapes what reorders or hides text", () => {
    expect(harmless("a\u202eb\u2066c\u200bd\u2028e\ufefff\u{e0041}")).toBe(
      "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{2028}e\\u{feff}f\\u{e0041}",
    );
  });

  test("leaves ordinary text of any language alone", () => {
    const text = "Größe, naïve, 日本語, 🙂, C:\\x";
    expect(harmless(text)).toBe(text);
  });

  test("cuts long text, never within an escape or a character", () => {
    expect(harmless("abcdef", 6)).toBe("abcdef");
    expect(harmless("abcdefg", 6)).toBe("abcde…");
    expect(harmless("abc\x1bdef", 6)).toBe("abc…");
    expect(harmless("abcd🙂xyz", 6)).toBe("abcd…");
  });

  test("is safe, short enough and unchanged by a second time, whatever comes", () => {
    const anything = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 })
        .map((codes) => String.fromCharCode(...codes)),
    );
    fc.assert(
      fc.property(anything, fc.integer({ min: 10, max: 60 }), (text, max) => {
        const once = harmless(text, max);
        expect(once.length).toBeLessThanOrEqual(max);
        expect(once).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(harmless(once, max)).toBe(once);
      }),
      { numRuns: 1000 },
    );
  });
});
