import { describe, expect, test } from "vitest";
import { interleave, rotated } from "./interleave.ts";

const ways = [{ name: "a" }, { name: "b" }, { name: "c" }];

describe("interleave", () => {
  test("measures all once before any of them again, each round beginning with another", async () => {
    const order: string[] = [];
    const samples = await interleave({
      ways,
      cases: ["x"],
      rounds: 2,
      measure: async (way, name, round) => {
        order.push(`${way.name}${name}${round}`);
        return { rate: round };
      },
      progress: () => {},
    });
    expect(order).toEqual(["ax0", "bx0", "cx0", "bx1", "cx1", "ax1"]);
    expect(samples.at(-1)).toEqual({ forwarder: "a", case: "x", round: 1, measured: { rate: 1 } });
  });

  test("keeps no sample of what a way does not have", async () => {
    const samples = await interleave({
      ways,
      cases: ["x"],
      rounds: 1,
      measure: async ({ name }) => (name === "b" ? undefined : { rate: 1 }),
      progress: () => {},
    });
    expect(samples.map(({ forwarder }) => forwarder)).toEqual(["a", "c"]);
  });

  test("a rotation goes around", () => {
    expect(rotated([1, 2, 3], 4)).toEqual([2, 3, 1]);
    expect(rotated([], 1)).toEqual([]);
  });
});
