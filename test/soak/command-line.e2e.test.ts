import { describe, expect, test } from "vitest";
import { readCommandLine } from "./command-line.ts";

const known = ["faults", "forged"];

describe("the command line of the soak", () => {
  test("takes no parts for all of them, at full scale", () => {
    expect(readCommandLine([], known)).toMatchObject({ parts: known, scale: 1 });
  });

  test("takes parts in the order that they are given in, with a seed and a scale", () => {
    expect(readCommandLine(["forged", "faults", "--seed", "7", "--scale", "0.1"], known)).toEqual({
      parts: ["forged", "faults"],
      seed: 7,
      scale: 0.1,
    });
  });

  test("runs nothing where help is asked for", () => {
    expect(readCommandLine(["faults", "-h"], known)).toBeUndefined();
  });

  test.each([
    [["fault"], "there is no part fault; there are faults, forged"],
    [["--seed", "x"], "--seed x"],
    [["--scale", "0"], "--scale 0"],
    [["--scale", "Infinity"], "--scale Infinity"],
    [["--sed", "1"], "--sed"],
  ])("says what is wrong with %j", (args, said) => {
    expect(() => readCommandLine(args, known)).toThrow(said);
  });
});
