import { describe, expect, it } from "vitest";
import { Gate } from "./gate.ts";

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("Gate", () => {
  it("lets in as many as it has places, the others in their order when somebody leaves", async () => {
    const gate = new Gate(2);
    const inside: string[] = [];
    const enter = (name: string) =>
      gate.enter().then((leave) => {
        inside.push(name);
        return leave;
      });
    const [a, b] = await Promise.all([enter("a"), enter("b")]);
    const [c, d] = [enter("c"), enter("d")];
    await tick();
    expect([inside, gate.waiting]).toEqual([["a", "b"], 2]);
    a?.();
    // Once is enough: the second time frees nobody else's place.
    a?.();
    await tick();
    expect([inside, gate.waiting]).toEqual([["a", "b", "c"], 1]);
    b?.();
    for (const leave of await Promise.all([c, d])) leave();
    expect(gate.waiting).toBe(0);
    await Promise.all([gate.enter(), gate.enter()]);
  });

  it("goes on without who gave up, also where it happens as the place comes", async () => {
    const gate = new Gate(1);
    const leave = await gate.enter();
    const [early, late] = [new AbortController(), new AbortController()];
    const gone = expect(gate.enter({ signal: early.signal })).rejects.toThrow("no more");
    const tooLate = expect(gate.enter({ signal: late.signal })).rejects.toThrow("no more either");
    early.abort(new Error("no more"));
    await gone;
    leave();
    late.abort(new Error("no more either"));
    await tooLate;
    await tick();
    await gate.enter();
    await expect(gate.enter({ signal: AbortSignal.abort(new Error("never")) })).rejects.toThrow("never");
  });
});
