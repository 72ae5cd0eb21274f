import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configDifference } from "./config-difference.ts";
import type { InstalledForward } from "./installed-config.ts";

function forward(id: string, changes: Partial<InstalledForward> = {}): InstalledForward {
  return {
    id,
    bind: { kind: "loopback", port: 4444 },
    target: { kind: "tcp", host: "localhost", port: 4444 },
    route: [
      {
        hopId: "hop-1",
        user: "signer",
        host: "sign-1",
        port: 22,
        hostKeys: ["AAAA", "BBBB"],
        fingerprints: [],
      },
    ],
    identity: { kind: "attached" },
    admission: { allowUsers: ["ann", "bob"], allowAnyUser: false },
    ...{ maxRelays: 0, connections: 1, probeMs: 0 },
    ...changes,
  };
}
const config = (...forwards: InstalledForward[]) => ({ forwards });

describe("the difference of two configurations", () => {
  test("names what was added, removed and changed, and leaves the rest alone", () => {
    const before = config(forward("a"), forward("b"), forward("c"));
    const after = config(
      forward("c"),
      forward("b", { target: { kind: "tcp", host: "other", port: 4444 }, maxRelays: 3 }),
      forward("d"),
    );
    expect(configDifference(before, after)).toEqual({
      forwards: [
        { change: "unchanged", id: "c" },
        { change: "changed", id: "b", fields: ["target", "maxRelays"] },
        { change: "added", id: "d" },
        { change: "removed", id: "a" },
      ],
      metricsPort: "unchanged",
      isEmpty: false,
    });
  });

  test("is empty for the same forwards in another order, with keys and users in another order", () => {
    const reordered = forward("a", {
      route: [
        {
          fingerprints: [],
          hostKeys: ["BBBB", "AAAA"],
          port: 22,
          host: "sign-1",
          user: "signer",
          hopId: "hop-1",
        },
      ],
      admission: { allowAnyUser: false, allowUsers: ["bob", "ann"] },
    });
    expect(
      configDifference(config(forward("a"), forward("b")), config(forward("b"), reordered)).isEmpty,
    ).toBe(true);
  });

  test("is not empty where a hop's place in the route or a key differs", () => {
    const [hop] = forward("a").route;
    if (hop === undefined) throw new Error("no hop");
    const other = { ...hop, hopId: "hop-2", host: "vault" };
    const two = forward("a", { route: [hop, other] });
    expect(configDifference(config(two), config(forward("a", { route: [other, hop] }))).isEmpty).toBe(false);
    const rekeyed = forward("a", { route: [{ ...hop, hostKeys: ["AAAA", "CCCC"] }] });
    expect(configDifference(config(forward("a")), config(rekeyed)).forwards).toEqual([
      { change: "changed", id: "a", fields: ["route"] },
    ]);
  });

  test.each([
    [undefined, 9100, "added"],
    [9100, undefined, "removed"],
    [9100, 9101, "changed"],
    [9100, 9100, "unchanged"],
    [undefined, undefined, "unchanged"],
  ])("tells of the port for metrics, %s and then %s: %s", (before, after, metricsPort) => {
    const [old, now] = [before, after].map((port) => ({ ...config(forward("a")), metricsPort: port }));
    if (old === undefined || now === undefined) throw new Error("no configuration");
    expect(configDifference(old, now)).toMatchObject({ metricsPort, isEmpty: metricsPort === "unchanged" });
  });

  test("says of every forward of both sides exactly one thing", () => {
    const ids = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"));
    const some = ids.chain((names) =>
      fc.tuple(...names.map((id) => fc.nat(1).map((maxRelays) => forward(id, { maxRelays })))),
    );
    fc.assert(
      fc.property(some, some, (before, after) => {
        const { forwards, isEmpty } = configDifference(config(...before), config(...after));
        const all = new Set([...before, ...after].map(({ id }) => id));
        expect(forwards.map(({ id }) => id).sort()).toEqual([...all].sort());
        expect(isEmpty).toBe(forwards.every(({ change }) => change === "unchanged"));
        for (const { id, change } of forwards) {
          const [old, now] = [before, after].map((side) => side.find((each) => each.id === id)?.maxRelays);
          const wanted =
            old === undefined
              ? "added"
              : now === undefined
                ? "removed"
                : old === now
                  ? "unchanged"
                  : "changed";
          expect(change).toBe(wanted);
        }
      }),
    );
  });
});
