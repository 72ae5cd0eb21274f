import { expect, test } from "vitest";
import { describeProgress } from "./describe-progress.ts";

const shipment = {
  ...{
    host: "builder@build",
    name: "Node.js 22.23.3",
    digest: "00",
    sentBytes: 44_000_000,
    bytes: 124_800_000,
  },
  ...{ fetchBytes: 51_600_000, keep: false },
};

test("a Node.js on its way is a bar with how much of how much", () => {
  expect(describeProgress({ step: "sending", shipment, sent: 22_100_000 })).toBe(
    "sending Node.js 22.23.3 to builder@build ━━━━━━━━━━────────── 50 % of 44 MB",
  );
  expect(describeProgress({ step: "sending", shipment, sent: 44_000_000 })).toContain(" 100 % of 44 MB");
  expect(describeProgress({ step: "fetching", shipment, sent: 0 })).toContain("51.6 MB");
});
