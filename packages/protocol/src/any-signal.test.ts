import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { anySignal } from "./any-signal.ts";

describe("anySignal", () => {
  test("aborts with the reason of the first signal that aborts", () => {
    const first = new AbortController();
    const second = new AbortController();
    const { signal } = anySignal([first.signal, undefined, second.signal]);
    expect(signal.aborted).toBe(false);
    second.abort("second");
    first.abort("first");
    expect(signal.reason).toBe("second");
  });

  test("is aborted from the start where one signal is", () => {
    expect(anySignal([new AbortController().signal, AbortSignal.abort("early")]).signal.reason).toBe("early");
  });

  test("leaves no listener behind after an abort or a release", () => {
    const session = new AbortController();
    const other = new AbortController();
    for (let index = 0; index < 20; index += 1) anySignal([session.signal, AbortSignal.abort()]);
    const linked = anySignal([session.signal, other.signal]);
    expect(getEventListeners(session.signal, "abort")).toHaveLength(1);
    other.abort();
    expect(getEventListeners(session.signal, "abort")).toHaveLength(0);
    {
      using released = anySignal([session.signal]);
      expect(released.signal.aborted).toBe(false);
    }
    linked.release();
    expect(getEventListeners(session.signal, "abort")).toHaveLength(0);
  });

  test("no longer changes once it is released", () => {
    const controller = new AbortController();
    const linked = anySignal([controller.signal]);
    linked.release();
    controller.abort();
    expect(linked.signal.aborted).toBe(false);
  });
});
