import { describe, expect, test } from "vitest";
import { readCommandLine } from "./command-line.ts";

const known = ["bulk-ssh", "bulk-tcp", "far"];

describe("the command line of the benchmark", () => {
  test("takes no suites for all of them", () => {
    expect(readCommandLine([], known)).toEqual({
      suites: [],
      isQuick: false,
      rounds: undefined,
      help: false,
    });
  });

  test("takes a suite by its id and several by their first word", () => {
    expect(readCommandLine(["far", "--quick"], known)).toMatchObject({ suites: ["far"], isQuick: true });
    expect(readCommandLine(["bulk", "bulk-ssh"], known).suites).toEqual(["bulk-ssh", "bulk-tcp"]);
  });

  test("names the suites that there are when one is unknown", () => {
    expect(() => readCommandLine(["bul"], known)).toThrow(
      "there is no suite bul; there are bulk-ssh, bulk-tcp, far",
    );
  });

  test("wants a whole number of rounds", () => {
    expect(readCommandLine(["--rounds", "3"], known).rounds).toBe(3);
    expect(() => readCommandLine(["--rounds", "0"], known)).toThrow("--rounds 0");
    expect(() => readCommandLine(["--rounds", "few"], known)).toThrow("--rounds few");
  });
});
