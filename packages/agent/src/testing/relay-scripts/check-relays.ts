import fc from "fast-check";
import { playRelay } from "./play-relay.ts";
import type { RelayRoute } from "./relay-route.ts";
import { relayScript } from "./relay-script.ts";

/** Relays at a time: what they share must not mix. */
const MOST_AT_ONCE = 4;
const LET_GO_WITHIN_MS = 10_000;

export interface CheckOptions {
  readonly runs: number;
  /** Named by a failure, with the path to its smallest script. */
  readonly seed?: number | undefined;
}

/** Plays random scripts over `route`. Rejects with the smallest one that went wrong, and its seed. */
export async function checkRelays(route: RelayRoute, { runs, seed }: CheckOptions): Promise<void> {
  const property = fc.asyncProperty(
    fc.array(relayScript, { minLength: 1, maxLength: MOST_AT_ONCE }),
    async (scripts) => {
      const problems = await Promise.all(scripts.map((script) => playRelay(route, script)));
      const left = await whatStays(route);
      const all = [...problems.flat(), ...left];
      if (all.length > 0) throw new Error(all.join("\n"));
    },
  );
  await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) });
}

/** What a relay holds it has given back soon after its end. */
async function whatStays(route: RelayRoute): Promise<string[]> {
  const deadline = performance.now() + LET_GO_WITHIN_MS;
  while (route.held() > 0) {
    if (performance.now() > deadline) return [`${route.held()} buffers or channels are still held`];
    await new Promise(setImmediate);
  }
  return [];
}
