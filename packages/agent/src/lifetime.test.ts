import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Lifetime, type LifetimeOptions } from "./lifetime.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => vi.useRealTimers());

function living(limits: Partial<LifetimeOptions> = {}) {
  const ends: string[] = [];
  const lifetime = new Lifetime({
    leaseMs: 15_000,
    ttlMs: 0,
    idleMs: 0,
    onEnd: (reason) => ends.push(reason),
    now: () => performance.now() + gap,
    ...limits,
  });
  return { lifetime, ends };
}

/** Time that passes without a timer of ours running: the process was stopped. */
let gap = 0;
beforeEach(() => {
  gap = 0;
});

describe("the time an agent has", () => {
  test("lasts as long as its lease is renewed, and not longer", () => {
    const { lifetime, ends } = living();
    for (let renewal = 0; renewal < 100; renewal += 1) {
      vi.advanceTimersByTime(14_900);
      expect(lifetime.isLeaseHeld).toBe(true);
      lifetime.renew();
    }
    vi.advanceTimersByTime(14_999);
    expect([ends, lifetime.isLeaseHeld]).toEqual([[], true]);
    vi.advanceTimersByTime(1);
    expect([ends, lifetime.isLeaseHeld]).toEqual([["lease-expired"], false]);
    vi.advanceTimersByTime(100_000);
    expect(ends).toEqual(["lease-expired"]);
  });

  test("is over after --ttl, whatever is renewed", () => {
    const hour = 3_600_000;
    const { lifetime, ends } = living({ ttlMs: hour, leaseMs: 2 * hour });
    vi.advanceTimersByTime(hour - 1);
    lifetime.renew();
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual(["ttl"]);
  });

  test("is over after --idle without a relay, counted from the start and from each last relay", () => {
    const { lifetime, ends } = living({ idleMs: 5_000, leaseMs: 3_600_000 });
    vi.advanceTimersByTime(4_000);
    lifetime.relaysChanged(1);
    vi.advanceTimersByTime(60_000);
    lifetime.relaysChanged(2);
    lifetime.relaysChanged(0);
    vi.advanceTimersByTime(4_000);
    lifetime.relaysChanged(0);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(ends).toEqual(["idle"]);
  });

  test("goes on by a heartbeat when the process was stopped past its lease, without a lease in between", () => {
    const { lifetime, ends } = living();
    vi.advanceTimersByTime(1_500);
    gap = 60_000;
    expect(lifetime.isLeaseHeld).toBe(false);
    vi.advanceTimersByTime(4_000);
    expect([ends, lifetime.isLeaseHeld]).toEqual([[], false]);
    // The renewals that lay unread in stdin.
    lifetime.renew();
    expect(lifetime.isLeaseHeld).toBe(true);
    vi.advanceTimersByTime(14_000);
    expect(ends).toEqual([]);
  });

  test("is over a heartbeat after the process went on, where nobody renews", () => {
    const { ends } = living();
    vi.advanceTimersByTime(1_500);
    gap = 60_000;
    vi.advanceTimersByTime(7_000);
    expect(ends).toEqual(["lease-expired"]);
  });

  test("ends nothing any more once it is disposed of", () => {
    const { lifetime, ends } = living({ ttlMs: 1_000 });
    lifetime[Symbol.dispose]();
    vi.advanceTimersByTime(100_000);
    expect([ends, lifetime.isLeaseHeld]).toEqual([[], false]);
  });
});
