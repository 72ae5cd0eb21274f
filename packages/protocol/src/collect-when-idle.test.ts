import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CollectWhenIdle } from "./collect-when-idle.ts";

const QUIET_MS = 100;
const collect = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  collect.mockReset();
  vi.useRealTimers();
});

/** `count` relays that open and end one after the other. */
function burst(garbage: CollectWhenIdle, count: number): void {
  for (let relay = 0; relay < count; relay += 1) {
    garbage.relaysChanged(1);
    garbage.relaysChanged(0);
  }
}

test("garbage is collected once a burst of relays has been over for a while", () => {
  using garbage = new CollectWhenIdle({ collect, quietMs: QUIET_MS });
  burst(garbage, 300);
  vi.advanceTimersByTime(QUIET_MS - 1);
  burst(garbage, 1);
  vi.advanceTimersByTime(QUIET_MS - 1);
  expect(collect).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2);
  expect(collect).toHaveBeenCalledTimes(1);
  // Nothing has happened since.
  vi.advanceTimersByTime(10 * QUIET_MS);
  burst(garbage, 10);
  vi.advanceTimersByTime(10 * QUIET_MS);
  expect(collect).toHaveBeenCalledTimes(1);
});

test("not while a relay is open, and not for a few", () => {
  using garbage = new CollectWhenIdle({ collect, quietMs: QUIET_MS });
  burst(garbage, 100);
  vi.advanceTimersByTime(10 * QUIET_MS);
  garbage.relaysChanged(300);
  garbage.relaysChanged(1);
  vi.advanceTimersByTime(10 * QUIET_MS);
  burst(garbage, 1);
  garbage.relaysChanged(1);
  vi.advanceTimersByTime(10 * QUIET_MS);
  expect(collect).not.toHaveBeenCalled();
});

test("V8 collects", async () => {
  vi.useRealTimers();
  let isGone = false;
  const registry = new FinalizationRegistry(() => {
    isGone = true;
  });
  registry.register({}, undefined);
  using garbage = new CollectWhenIdle({ quietMs: 1 });
  burst(garbage, 300);
  await expect.poll(() => isGone).toBe(true);
});
