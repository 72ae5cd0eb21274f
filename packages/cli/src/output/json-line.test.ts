import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonLine } from "./json-line.ts";

test("a line of JSON holds nothing that a terminal acts on, and parses to the same value", () => {
  const evil = { message: "\u001b[2J\u009b45m\u202e\u200b\u007f\u2028\u{e0041}\n", plain: "käse \u{1f600}" };
  expect(jsonLine(evil)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(JSON.parse(jsonLine(evil))).toEqual(evil);
  expect(jsonLine(evil)).toContain("käse \u{1f600}");
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      expect(JSON.parse(jsonLine(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
