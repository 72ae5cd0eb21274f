import { describe, expect, it } from "vitest";
import { tokenFacts } from "./testing/token-facts.ts";
import { ambiguousTokens, fittingTokens } from "./token-choice.ts";

const work = tokenFacts({ label: "work", serial: "1" });
const home = tokenFacts({ label: "home", serial: "2" });
const tokens = [work, home];

describe("fittingTokens", () => {
  it("gives the tokens that fit all that was asked for", () => {
    expect(fittingTokens({ readers: 2, tokens }, {})).toEqual([work, home]);
    expect(fittingTokens({ readers: 2, tokens }, { token: "home" })).toEqual([home]);
    expect(fittingTokens({ readers: 2, tokens }, { serial: "1", token: "work " })).toEqual([work]);
  });

  it("tells no reader, no card and no such card apart", () => {
    const codeOf = (readers: number, present: typeof tokens, wish = {}) => {
      try {
        return fittingTokens({ readers, tokens: present }, wish);
      } catch (error) {
        return error;
      }
    };
    expect(codeOf(0, [])).toMatchObject({ code: "card.no-reader", leg: "card" });
    expect(codeOf(1, [])).toMatchObject({ code: "card.no-token", leg: "card" });
    expect(codeOf(2, tokens, { token: "other" })).toMatchObject({
      code: "card.no-token",
      message: expect.stringContaining('token "other"'),
      hint: expect.stringContaining('"work" (serial 1, in a reader), "home" (serial 2, in a reader)'),
    });
  });
});

it("an ambiguous choice names the cards", () => {
  const { code, message, hint } = ambiguousTokens(tokens);
  expect(code).toBe("config.invalid");
  expect(`${message} ${hint}`).toMatch(/"work".*"home".*--token/);
});
