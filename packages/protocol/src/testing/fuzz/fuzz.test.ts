import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

/** Each byte opens one more door: by chance alone nobody comes through all of them. */
function maze(input: Buffer): number {
  if (input[0] !== 0x66) return 0;
  if (input[1] !== 0x61) return 1;
  if (input[2] !== 0x72) return 2;
  if (input[3] !== 0x73) return 3;
  return 4;
}

const target = {
  name: "maze",
  seeds: [Buffer.from("xxxxxxxx")],
  run: (input: Buffer) => {
    if (maze(input) === 4) throw new Error("found");
  },
};
const isOurs = (url: string) => url.endsWith("fuzz.test.ts");

test("coverage leads the fuzzer to what chance does not find, and a seed leads it there again", () => {
  const options = { executions: 100_000, seed: 7, isOurs };
  const guided = fuzz(target, options);
  expect(guided.failure?.error).toEqual(new Error("found"));
  expect(Buffer.from(guided.failure?.input ?? "", "hex").toString()).toMatch(/^fars/);
  expect(guided.executions).toBeLessThan(options.executions);
  expect(fuzz(target, options).failure?.input).toBe(guided.failure?.input);
  const blind = fuzz(target, { ...options, executions: 2 * guided.executions, isGuided: false });
  expect(blind.failure).toBeUndefined();
});
