import type { Peer } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { LentIdentities } from "./lent-identities.ts";

function lender(...hops: string[]) {
  let end: () => void = () => undefined;
  const closed = new Promise<undefined>((resolve) => {
    end = () => resolve(undefined);
  });
  const peer = { closed, request: async () => undefined } as unknown as Pick<Peer, "request" | "closed">;
  return { peer, hops: new Map(hops.map((hop) => [hop, [Uint8Array.of(1)]])), end };
}

const wait = (lent: LentIdentities, hopId: string, signal = new AbortController().signal) => {
  const waits: boolean[] = [];
  return { waits, identity: lent.for(hopId, { signal, onWaiting: (is) => waits.push(is) }) };
};

describe("lent identities", () => {
  test("a hop waits until somebody lends for it, and says so", async () => {
    const lent = new LentIdentities();
    const { waits, identity } = wait(lent, "a");
    lent.lend(lender("b"));
    expect(lent.waitingHops).toEqual(["a"]);
    const ours = lender("a");
    lent.lend(ours);
    expect((await identity).peer).toBe(ours.peer);
    expect([waits, lent.waitingHops]).toEqual([[true, false], []]);
    expect((await wait(lent, "a").identity).peer).toBe(ours.peer);
  });

  test("the newest is asked; one that is gone is asked no more", async () => {
    const lent = new LentIdentities();
    const [one, two] = [lender("a"), lender("a")];
    lent.lend(one);
    lent.lend(two);
    expect((await wait(lent, "a").identity).peer).toBe(two.peer);
    two.end();
    await two.peer.closed;
    expect((await wait(lent, "a").identity).peer).toBe(one.peer);
    one.end();
    await one.peer.closed;
    expect(lent.lenders).toBe(0);
    const giving = new AbortController();
    const { identity } = wait(lent, "a", giving.signal);
    giving.abort(new Error("no more"));
    await expect(identity).rejects.toThrow("no more");
    expect(lent.waitingHops).toEqual([]);
  });
});
