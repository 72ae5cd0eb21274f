import { describe, expect, it } from "vitest";
import { Turnstile } from "./turnstile.ts";

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("Turnstile", () => {
  it("runs one task at a time, in order, also after one that failed", async () => {
    const turnstile = new Turnstile();
    const log: string[] = [];
    const task = (name: string) => async () => {
      log.push(`${name} starts`);
      await tick();
      log.push(`${name} ends`);
      if (name === "a") throw new Error("a failed");
      return name;
    };
    const a = expect(turnstile.run(task("a"))).rejects.toThrow("a failed");
    const b = turnstile.run(task("b"));
    expect(turnstile.isBusy).toBe(true);
    await a;
    expect(await b).toBe("b");
    expect(log).toEqual(["a starts", "a ends", "b starts", "b ends"]);
    await tick();
    expect(turnstile.isBusy).toBe(false);
  });

  it("never starts a task that was aborted while it waited", async () => {
    const turnstile = new Turnstile();
    const abort = new AbortController();
    let finish = (): void => {};
    const first = turnstile.run(() => new Promise<void>((resolve) => (finish = resolve)));
    let isStarted = false;
    const second = turnstile.run(async () => {
      isStarted = true;
    }, abort.signal);
    abort.abort(new Error("no more"));
    await expect(second).rejects.toThrow("no more");
    await tick();
    finish();
    await first;
    await turnstile.run(tick);
    expect(isStarted).toBe(false);
  });

  it("lets go of a task that is aborted while it runs, and makes the next one wait for its end", async () => {
    const turnstile = new Turnstile();
    const abort = new AbortController();
    let finish = (): void => {};
    const log: string[] = [];
    const first = turnstile.run(async () => {
      await new Promise<void>((resolve) => (finish = resolve));
      log.push("first ended");
    }, abort.signal);
    await tick();
    abort.abort(new Error("no more"));
    await expect(first).rejects.toThrow("no more");
    const second = turnstile.run(async () => log.push("second"));
    finish();
    await second;
    expect(log).toEqual(["first ended", "second"]);
  });
});
