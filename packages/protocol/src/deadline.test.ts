import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { deadline } from "./deadline.ts";
import { CodedError } from "./errors.ts";

describe("deadline", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("aborts in time with a timeout that says what took too long", () => {
    const { signal } = deadline(1000, "connecting to jump-1 took longer than 1 s", { leg: "jump" });
    vi.advanceTimersByTime(999);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toMatchObject({
      code: "timeout",
      message: "connecting to jump-1 took longer than 1 s",
      leg: "jump",
    });
  });

  test("aborts with an error of the caller's making", () => {
    const { signal } = deadline(5, () => new CodedError("lease.expired", "not renewed"));
    vi.advanceTimersByTime(5);
    expect(signal.reason).toMatchObject({ code: "lease.expired" });
  });

  test("aborts earlier with the reason of the given signal, and then holds no timer", () => {
    const controller = new AbortController();
    const { signal } = deadline(1000, "too slow", { signal: controller.signal });
    controller.abort("stopped");
    expect(signal.reason).toBe("stopped");
    expect(vi.getTimerCount()).toBe(0);
    deadline(1000, "too slow", { signal: controller.signal });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("holds neither a timer nor a listener once it is released", () => {
    const controller = new AbortController();
    const limit = deadline(1000, "too slow", { signal: controller.signal });
    limit.release();
    vi.advanceTimersByTime(2000);
    expect(limit.signal.aborted).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("waits for days and for ever, though a timer can't", () => {
    const days = 60 * 24 * 3600 * 1000;
    const { signal } = deadline(days, "sixty days");
    const never = deadline(Number.POSITIVE_INFINITY, "never");
    vi.advanceTimersByTime(days - 1000);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(signal.aborted).toBe(true);
    expect(never.signal.aborted).toBe(false);
  });

  test("refuses a time that is none", () => {
    expect(() => deadline(Number.NaN, "x")).toThrow(RangeError);
    expect(() => deadline(-1, "x")).toThrow(RangeError);
  });
});
