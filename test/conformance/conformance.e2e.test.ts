import { beforeAll, expect, test } from "vitest";
import { describeLab } from "../support/describe-lab.ts";
import { type Row, runConformance } from "./conformance-lab.ts";
import { verdictLines } from "./report.ts";
import { SAMPLE, scriptsOf } from "./scripts.ts";

/** The whole: `npm run soak -- conformance`, which writes docs/relay-conformance.md. */
describeLab("a relay", () => {
  const scripts = scriptsOf(SAMPLE);
  let rows: readonly Row[];
  beforeAll(async () => {
    rows = await runConformance(scripts, 60_000);
  }, 120_000);

  test.each(scripts.map(({ name }, index) => [name, index] as const))(
    "shows its ends what ssh -L shows them, or better: %s",
    (name, index) => {
      const row = rows[index] as Row;
      expect(row.name).toBe(name);
      expect(row.verdicts.length).toBe(4);
      expect(verdictLines(row, "worse")).toEqual([]);
      const sights = Object.values(row.seen).flatMap(({ client, service }) => [client, service]);
      expect(sights.filter((sight) => sight.includes("never sent"))).toEqual([]);
    },
  );

  test("leaves nothing open in the forwarder", () => {
    expect(verdictLines(rows.at(-1) as Row, "worse")).toEqual([]);
  });
});
