import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { abortable } from "./abortable.ts";

describe("abortable", () => {
  test("is the promise while nothing aborts, and leaves no listener behind", async () => {
    const { signal } = new AbortController();
    expect(await abortable(Promise.resolve(1), signal)).toBe(1);
    await expect(abortable(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(await abortable(Promise.resolve(2), undefined)).toBe(2);
  });

  test("rejects with the reason of the abort, before or while it waits", async () => {
    const controller = new AbortController();
    const waiting = abortable(new Promise(() => undefined), controller.signal);
    controller.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow("stopped");
    await expect(abortable(Promise.resolve(1), controller.signal)).rejects.toThrow("stopped");
  });

  test("hands on what comes too late, so that it can be closed", async () => {
    const closed = await new Promise((resolve) => {
      abortable(Promise.resolve("hop"), AbortSignal.abort(new Error("stopped")), resolve).catch(
        () => undefined,
      );
    });
    expect(closed).toBe("hop");
  });
});
