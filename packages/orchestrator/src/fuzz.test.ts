import { fuzz } from "@farside/protocol/testing";
import { expect, test } from "vitest";
import { fuzzTargets } from "./testing/fuzz-targets.ts";

/** Many more, with seeds of their own: `npm run soak -- fuzz`. */
test.each(fuzzTargets.map((target) => [target.name, target] as const))(
  "fuzzing %s, led by coverage, finds nothing that may not happen",
  (_, target) => {
    const { failure, reached, executions } = fuzz(target, { executions: 4_000, seed: 20261126 });
    expect(failure).toBeUndefined();
    expect(executions).toBeGreaterThanOrEqual(4_000);
    // That the decoder was in it.
    expect(reached).toBeGreaterThan(300);
  },
);
