import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Lifetime, type LifetimeOptions } from "./lifetime.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] }));
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
    vi.advanceTimersByTime(1_001);
    expect(ends).toEqual(["idle"]);
  });

  test("is not over while a connection is about to become a relay, even one that is accepted only now", () => {
    let isWaitedFor = false;
    const { lifetime, ends } = living({
      ...{ idleMs: 5_000, leaseMs: 3_600_000, isWaitedFor: () => isWaitedFor },
    });
    vi.advanceTimersByTime(3_900);
    // What the kernel has completed comes after the timer that is due.
    setTimeout(() => {
      setImmediate(() => {
        isWaitedFor = true;
      });
    }, 1_100);
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual([]);
    isWaitedFor = false;
    lifetime.relaysChanged(1);
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual([]);
    lifetime.relaysChanged(0);
    vi.advanceTimersByTime(4_999);
    isWaitedFor = true;
    vi.advanceTimersByTime(10_000);
    expect(ends).toEqual([]);
    // It was refused: no relay came of it.
    isWaitedFor = false;
    vi.advanceTimersByTime(100);
    expect(ends).toEqual(["idle"]);
  });

  test("does not spare an agent's lease or --ttl because somebody waits for it", () => {
    const waitedFor = { idleMs: 1_000, isWaitedFor: () => true };
    const { ends } = living({ ...waitedFor, ttlMs: 5_000 });
    vi.advanceTimersByTime(5_100);
    expect(ends).toEqual(["ttl"]);
    const { ends: leaseEnds } = living({ ...waitedFor, leaseMs: 5_000 });
    vi.advanceTimersByTime(5_100);
    expect(leaseEnds).toEqual(["lease-expired"]);
  });

  test("counts --idle from when there is a forward to connect to", () => {
    const { lifetime, ends } = living({ idleMs: 5_000, leaseMs: 3_600_000 });
    vi.advanceTimersByTime(4_000);
    lifetime.forwardOpened();
    vi.advanceTimersByTime(4_999);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(2);
    expect(ends).toEqual(["idle"]);
    const other = living({ idleMs: 5_000, leaseMs: 3_600_000 });
    other.lifetime.relaysChanged(1);
    other.lifetime.forwardOpened();
    vi.advanceTimersByTime(60_000);
    expect(other.ends).toEqual([]);
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
    const idle = living({ idleMs: 5_000 });
    vi.advanceTimersByTime(4_500);
    // Between the timer and the look for connections.
    setTimeout(() => idle.lifetime[Symbol.dispose](), 500);
    vi.advanceTimersByTime(100_000);
    expect(idle.ends).toEqual([]);
  });
});
