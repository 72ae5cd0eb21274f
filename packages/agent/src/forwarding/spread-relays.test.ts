import { describe, expect, test } from "vitest";
import { type ConnectionLoad, spreadRelays } from "./spread-relays.ts";

const loads = (...open: number[]): ConnectionLoad[] => open.map((one) => ({ open: one, opening: 0 }));

describe("the next channel to a hop", () => {
  test("goes to the first connection while it has few, so that the others become idle", () => {
    expect(spreadRelays(loads(15, 0, 9), 4)).toEqual({ take: 0, wantsAnother: false });
    expect(spreadRelays(loads(16, 0, 9), 4)).toEqual({ take: 1, wantsAnother: false });
  });

  test("goes to the connection that has the least, the earliest of equals", () => {
    expect(spreadRelays(loads(50, 30, 30), 4).take).toBe(1);
    const opening = [
      { open: 40, opening: 0 },
      { open: 20, opening: 30 },
    ];
    expect(spreadRelays(opening, 4).take).toBe(0);
  });

  test("asks for a further connection when even the least loaded has many, up to the limit", () => {
    expect(spreadRelays(loads(127), 4).wantsAnother).toBe(false);
    expect(spreadRelays(loads(128), 4).wantsAnother).toBe(true);
    expect(spreadRelays(loads(5000, 127), 4).wantsAnother).toBe(false);
    expect(spreadRelays(loads(5000, 128), 4)).toEqual({ take: 1, wantsAnother: true });
    expect(spreadRelays(loads(5000, 128), 2)).toEqual({ take: 1, wantsAnother: false });
    expect(spreadRelays(loads(5000), 1)).toEqual({ take: 0, wantsAnother: false });
  });

  test("asks for one when many channels wait to be opened at a time", () => {
    expect(spreadRelays([{ open: 0, opening: 47 }], 4).wantsAnother).toBe(false);
    expect(spreadRelays([{ open: 0, opening: 48 }], 4).wantsAnother).toBe(true);
  });
});
