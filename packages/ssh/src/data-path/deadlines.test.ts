import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Deadlines } from "./deadlines.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function deadlines() {
  const missed: string[] = [];
  const subject = new Deadlines();
  return {
    subject,
    missed,
    set: (name: string, ms: number) => subject.set(ms, () => void missed.push(name)),
  };
}

it("calls for those that are missed, at most a second late, and for no other", () => {
  const { subject, missed, set } = deadlines();
  set("late", 30_000);
  const done = set("done", 30_000);
  vi.advanceTimersByTime(10_500);
  set("short", 200);
  subject.reached(done);
  vi.advanceTimersByTime(199);
  expect(missed).toEqual([]);
  vi.advanceTimersByTime(1_001);
  expect(missed).toEqual(["short"]);
  vi.advanceTimersByTime(18_299);
  expect(missed).toEqual(["short"]);
  vi.advanceTimersByTime(1);
  expect(missed).toEqual(["short", "late"]);
  vi.advanceTimersByTime(60_000);
  expect(missed).toHaveLength(2);
});

it("is in time for the only one, and has no timer without one", () => {
  const { subject, missed, set } = deadlines();
  set("only", 50);
  vi.advanceTimersByTime(50);
  expect(missed).toEqual(["only"]);
  expect(vi.getTimerCount()).toBe(0);
  subject.reached(set("at once", 50));
  vi.advanceTimersByTime(50);
  expect([missed, vi.getTimerCount()]).toEqual([["only"], 0]);
});

it("may set a further one for one that is missed", () => {
  const { subject, missed } = deadlines();
  subject.set(10, () => subject.set(10, () => void missed.push("second")));
  vi.advanceTimersByTime(1_010);
  expect(missed).toEqual(["second"]);
});
