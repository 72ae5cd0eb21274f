import { describe, expect, test } from "vitest";
import { readBootFacts } from "./boot-facts.ts";

const key = Symbol.for("farside.boot");
const nonce = "0".repeat(32);
const digest = "a".repeat(64);

describe("the loader's facts", () => {
  test("are read from the global scope", () => {
    expect(readBootFacts({ [key]: { nonce, digest } })).toEqual({ nonce, digest });
  });

  test.each([undefined, null, {}, { nonce }, { nonce: "x", digest }, { nonce, digest: 7 }])(
    "are a must: %j",
    (facts) => {
      expect(() => readBootFacts({ [key]: facts })).toThrow(/^started without/);
    },
  );
});
