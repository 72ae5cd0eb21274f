import { describe, expect, test } from "vitest";
import { checkRelays } from "../testing/relay-scripts/check-relays.ts";
import { relayRoute, relayRouteKinds } from "../testing/relay-scripts/relay-route.ts";

/** More of them: `npm run soak -- conformance`. */
const RUNS = 40;

describe("a relay of random clients and services", { timeout: 120_000 }, () => {
  test.each(relayRouteKinds)(
    "loses nothing, mixes up nothing, hides no cut and never hangs (%s)",
    async (kind) => {
      await using route = await relayRoute(kind);
      await expect(checkRelays(route, { runs: RUNS })).resolves.toBeUndefined();
    },
  );
});
