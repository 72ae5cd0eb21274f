import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIRST_WINDOW, LARGEST_WINDOW, LEAST_WINDOW, LOCAL_WINDOW } from "./limits.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { RoundTrip } from "./round-trip.ts";
import { WindowBudget } from "./window-budget.ts";

const mebibyte = 1024 * 1024;

/** Receives and passes on `bytes` in pieces, as a quick reader does; returns what was returned to the server. */
function quickly(window: ReceiveWindow, bytes: number): number {
  let returned = 0;
  for (let left = bytes; left > 0; left -= 64 * 1024) {
    window.received(64 * 1024);
    returned += window.passedOn(64 * 1024, false);
  }
  return returned;
}

/** A server at the end of a way of so many ms and so many bytes a ms, for a quick reader; returns the window's size in the end. */
function sizeAfter(bytes: number, way: { roundTripMs: number; bytesPerMs: number }): number {
  let now = 0;
  const roundTrip = new RoundTrip();
  roundTrip.answeredIn(way.roundTripMs);
  const window = new ReceiveWindow(new WindowBudget(), roundTrip, () => now);
  const piece = 32 * 1024;
  let mayHaveSent = window.first;
  let sent = 0;
  const adjustments: { readonly at: number; readonly bytes: number }[] = [];
  while (sent < bytes) {
    while (sent + piece > mayHaveSent) {
      const next = adjustments.shift();
      if (next === undefined) throw new Error("the window was not returned");
      now = Math.max(now, next.at + way.roundTripMs);
      mayHaveSent += next.bytes;
    }
    now += piece / way.bytesPerMs;
    sent += piece;
    window.received(piece);
    const adjustment = window.passedOn(piece, false);
    if (adjustment > 0) adjustments.push({ at: now, bytes: adjustment });
  }
  return window.size;
}

describe("the receive window of a channel", () => {
  it("is returned in good time as bytes are passed on", () => {
    const window = new ReceiveWindow(new WindowBudget(4 * mebibyte));
    window.received(window.first / 8);
    expect(window.passedOn(window.first / 8, false)).toBe(0);
    window.received(window.first / 8);
    expect(window.passedOn(window.first / 8, false)).toBe(window.first / 4);
  });

  it("grows to the largest for a reader that keeps up on a long way, and no further", () => {
    expect(sizeAfter(200 * mebibyte, { roundTripMs: 100, bytesPerMs: 1_000_000 })).toBe(LARGEST_WINDOW);
  });

  it("grows to what a slower way holds, and not much further", () => {
    const size = sizeAfter(200 * mebibyte, { roundTripMs: 100, bytesPerMs: 28_000 });
    expect(size).toBeGreaterThanOrEqual(2_800_000);
    expect(size).toBeLessThanOrEqual(4 * 2_800_000);
  });

  it("stays small on a short way, however fast it is", () => {
    expect(sizeAfter(200 * mebibyte, { roundTripMs: 0.3, bytesPerMs: 1_500_000 })).toBe(LOCAL_WINDOW);
  });

  it("finds out how short the way is by itself", () => {
    let now = 0;
    const roundTrip = new RoundTrip();
    const window = new ReceiveWindow(new WindowBudget(), roundTrip, () => now);
    window.received(window.first / 2);
    window.passedOn(window.first / 2, false);
    now = 7;
    window.received(window.first / 2);
    expect(roundTrip.ms).toBe(Number.POSITIVE_INFINITY);
    now = 10;
    window.received(1);
    expect(roundTrip.ms).toBe(10);
  });

  it("shrinks to the first for a reader that does not", () => {
    const budget = new WindowBudget();
    const window = new ReceiveWindow(budget, new RoundTrip(), () => 0);
    quickly(window, 200 * mebibyte);
    expect(window.size).toBe(LOCAL_WINDOW);
    window.received(mebibyte);
    for (let passed = 0; passed < mebibyte; passed += 64 * 1024) window.passedOn(64 * 1024, true);
    expect(window.size).toBe(FIRST_WINDOW);
  });

  it("ends a server that sends more", () => {
    const window = new ReceiveWindow(new WindowBudget());
    window.received(window.first);
    expect(() => window.received(1)).toThrow(/window of 0/u);
  });

  it("gives everything back to the budget once, whatever happened to it", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(300_000), fc.boolean()), { maxLength: 200 }), (steps) => {
        const budget = new WindowBudget(8 * mebibyte);
        const window = new ReceiveWindow(budget);
        let left = window.first;
        for (const [wanted, isSlow] of steps) {
          const count = Math.min(wanted, left);
          window.received(count);
          left += window.passedOn(count, isSlow) - count;
          expect(left).toBeLessThanOrEqual(budget.given);
        }
        window.release();
        window.release();
        expect(budget.given).toBe(0);
      }),
    );
  });
});

describe("the budget of all windows", () => {
  it("gives smaller first windows as it fills, but never none", () => {
    const budget = new WindowBudget(64 * mebibyte);
    const windows = Array.from({ length: 1000 }, () => budget.takeFirst());
    expect(windows[0]).toBe(FIRST_WINDOW);
    expect(windows.at(-1)).toBe(LEAST_WINDOW);
    expect(windows).toEqual([...windows].sort((a, b) => b - a));
    expect(budget.given).toBeLessThan(64 * mebibyte + 1000 * LEAST_WINDOW);
  });

  it("never gives more than it has to channels that grow", () => {
    const budget = new WindowBudget(16 * mebibyte);
    let taken = 0;
    for (let count = 0; count < 100; count += 1) taken += budget.takeMore(mebibyte);
    expect(taken).toBeLessThanOrEqual(16 * mebibyte);
    expect(budget.takeMore(-1)).toBe(0);
  });
});
