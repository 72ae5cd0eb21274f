import { beforeAll, describe, expect, test } from "vitest";
import { describeLab } from "../support/describe-lab.ts";
import { type Plan, type Row, runConformance, type Table } from "./conformance-lab.ts";
import { verdictLines } from "./report.ts";
import type { End } from "./script.ts";
import { SAMPLE, SMALL_SAMPLE } from "./scripts.ts";
import { scriptsForShape } from "./scripts-for-shape.ts";
import { bothSockets, tcpShape } from "./shape.ts";
import { farsideWayNames } from "./way.ts";

/** The whole: `npm run soak -- conformance`, which writes docs/relay-conformance.md. */
const plans: readonly Plan[] = [
  { shape: tcpShape, size: SAMPLE },
  // Listener and target of this one are what each of the others has one of.
  {
    shape: bothSockets,
    size: SMALL_SAMPLE,
    ways: ["no forwarder", "ssh -L", "farside, no hop", "farside, a hop"],
  },
];

describeLab("a relay", () => {
  let tables: readonly Table[];
  beforeAll(async () => {
    tables = await runConformance(plans, { withinMs: 60_000 });
  }, 300_000);

  describe.each(plans.map((plan, at) => [plan.shape.name, plan, at] as const))("of %s", (_, plan, at) => {
    const rowsOf = (): readonly Row[] => tables[at]?.rows ?? [];
    const ways = farsideWayNames.filter((name) => plan.ways?.includes(name) ?? true);
    const names = scriptsForShape(plan.shape, plan.size).map(({ name }) => name);

    test.each(names.map((name, index) => [name, index] as const))(
      "shows its ends what ssh -L shows them, or better: %s",
      (name, index) => {
        const row = rowsOf()[index] as Row;
        expect(row.name).toBe(name);
        expect(row.verdicts.length).toBe(2 * ways.length);
        expect(verdictLines(row, "worse")).toEqual([]);
        const sights = Object.values(row.seen).flatMap(({ client, service }) => [client, service]);
        expect(sights.filter((sight) => sight.includes("never sent"))).toEqual([]);
      },
    );

    test("leaves nothing open in the forwarder", () => {
      expect(verdictLines(rowsOf().at(-1) as Row, "worse")).toEqual([]);
    });
  });

  // What `ssh -L` makes an ordinary end of is no worse as one, but promised as what it is.
  test("passes a reset on as one where no hop is between", () => {
    const sees = (name: string, end: End) =>
      tables[0]?.rows.find((row) => row.name === name)?.seen["farside, no hop"]?.[end];
    const reset = "connected, 5 bytes, reset, closed";
    expect(sees("client resets", "service")).toBe(reset);
    expect(sees("service resets", "client")).toBe(reset);
  });
});
