import { expect, test } from "vitest";
import { type FuzzTarget, fuzz } from "./fuzz.ts";

const EXECUTIONS = 2_500;

/** A short run of each target; many more, with seeds of their own: `npm run soak -- fuzz`. */
export function describeFuzz(targets: readonly FuzzTarget[]): void {
  test.each(targets.map((target) => [target.name, target] as const))(
    "fuzzing %s, led by coverage, finds nothing that may not happen",
    (_, target) => {
      const { failure, reached, executions } = fuzz(target, { executions: EXECUTIONS, seed: 20261126 });
      expect(failure).toBeUndefined();
      expect(executions).toBeGreaterThanOrEqual(EXECUTIONS);
      // That the decoder was in it.
      expect(reached).toBeGreaterThan(300);
    },
  );
}
