import { describe, expect, it } from "vitest";
import { forgedFields } from "./testing/forge.ts";
import { forgeMany } from "./testing/forge-many.ts";

/** 100,000 of them: `npm run soak -- forged`. */
describe("forged sign requests, each a live request with one field changed", () => {
  it("are all refused, by what is wrong with them, and the unchanged request is signed each time", async () => {
    const { fields, controls } = await forgeMany({ total: 2_000, timesPerBatch: 15, seed: 20261126 });
    const all = Object.values(fields);
    expect(all.length).toBe(forgedFields.length);
    expect(new Set(all.map(({ tried }) => tried)).size).toBe(1);
    expect(all.reduce((sum, { tried }) => sum + tried, 0)).toBeGreaterThanOrEqual(2_000);
    expect(Object.entries(fields).filter(([, { signed }]) => signed > 0)).toEqual([]);
    // Not by the limits, which would refuse anything.
    const reasons = new Set(all.flatMap((field) => Object.keys(field.reasons)));
    expect([...reasons].filter((reason) => ["replay", "budget", "signed"].includes(reason))).toEqual([]);
    expect(controls.tried).toBeGreaterThan(7);
    expect(controls.signed).toBe(controls.tried);
    expect(controls.logins).toBeGreaterThan(3);
    expect(controls.loggedIn).toBe(controls.logins);
  });
});
