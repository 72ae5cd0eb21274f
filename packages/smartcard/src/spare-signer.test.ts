import { CodedError } from "@farside/protocol";
import { describe, expect, it } from "vitest";
import type { Signer } from "./signer-process.ts";
import { SpareSigner } from "./spare-signer.ts";

/** Starts signers that are only counted. */
function starter(start: () => Promise<void> = async () => {}) {
  const made: { isAlive: boolean; pid: number; close: () => Promise<void> }[] = [];
  const make = async (): Promise<Signer> => {
    await start();
    const close = async () => {
      signer.isAlive = false;
    };
    const signer = { isAlive: true, pid: made.length + 1, close };
    made.push(signer);
    return signer as unknown as Signer;
  };
  return { made, spare: new SpareSigner({ env: {} }, make) };
}

describe("a spare signer", () => {
  it("is started at once, and given away once", async () => {
    const { made, spare } = starter();
    await expect.poll(() => made.length).toBe(1);
    expect((await spare.start({ env: {} })).pid).toBe(1);
    expect((await spare.start({ env: {} })).pid).toBe(2);
    await spare[Symbol.asyncDispose]();
    expect(made.map(({ isAlive }) => isAlive)).toEqual([true, true]);
  });

  it("is ended where nobody took it", async () => {
    const { made, spare } = starter();
    await spare[Symbol.asyncDispose]();
    expect(made.map(({ isAlive }) => isAlive)).toEqual([false]);
  });

  it("that has ended is not given away", async () => {
    const { made, spare } = starter();
    await expect.poll(() => made.length).toBe(1);
    await made[0]?.close();
    expect((await spare.start({ env: {} })).pid).toBe(2);
  });

  it("that does not start is told to who takes it, and to nobody else", async () => {
    const failure = new CodedError("card.crashed", "x");
    const failing = () => starter(() => Promise.reject(failure)).spare;
    await expect(failing().start({ env: {} })).rejects.toBe(failure);
    await failing()[Symbol.asyncDispose]();
  });
});
