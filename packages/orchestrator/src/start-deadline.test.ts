import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StartDeadline } from "./start-deadline.ts";

describe("the start's deadline", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("aborts with its message when its time is over", () => {
    const deadline = new StartDeadline(1_000, "starting took too long");
    vi.advanceTimersByTime(999);
    expect(deadline.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(deadline.signal.reason).toMatchObject({
      ...{ code: "timeout", message: "starting took too long", leg: "jump" },
    });
  });

  it("names the part of the way that the start has come to", () => {
    const deadline = new StartDeadline(1_000, "x");
    deadline.about("hop");
    vi.advanceTimersByTime(1_000);
    expect(deadline.signal.reason).toMatchObject({ code: "timeout", leg: "hop" });
  });

  it("stands still while a person is waited for, also twice at once", async () => {
    const deadline = new StartDeadline(1_000, "x");
    const ends: (() => void)[] = [];
    const wait = () => deadline.during(() => new Promise<void>((resolve) => ends.push(resolve)));
    vi.advanceTimersByTime(600);
    const waits = [wait(), wait()];
    vi.advanceTimersByTime(60_000);
    ends[0]?.();
    await waits[0];
    vi.advanceTimersByTime(60_000);
    ends[1]?.();
    await waits[1];
    vi.advanceTimersByTime(399);
    expect(deadline.signal.aborted).toBe(false);
    vi.advanceTimersByTime(2);
    expect(deadline.signal.aborted).toBe(true);
  });

  it("never aborts once it is released", async () => {
    const deadline = new StartDeadline(1_000, "x");
    deadline[Symbol.dispose]();
    await deadline.during(async () => {});
    vi.advanceTimersByTime(5_000);
    expect(deadline.signal.aborted).toBe(false);
  });
});
