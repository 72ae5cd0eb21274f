import { isCodedError } from "@farside/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
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
    const second = turnstile.run(
      async () => {
        isStarted = true;
      },
      { signal: abort.signal },
    );
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
    const first = turnstile.run(
      async () => {
        await new Promise<void>((resolve) => (finish = resolve));
        log.push("first ended");
      },
      { signal: abort.signal },
    );
    await tick();
    abort.abort(new Error("no more"));
    await expect(first).rejects.toThrow("no more");
    const second = turnstile.run(async () => log.push("second"));
    finish();
    await second;
    expect(log).toEqual(["first ended", "second"]);
  });

  it("lets askers take turns, however many tasks one has", async () => {
    const turnstile = new Turnstile();
    const log: string[] = [];
    const ask = (asker: string, count: number) =>
      Array.from({ length: count }, (_, index) =>
        turnstile.run(async () => log.push(`${asker}${index + 1}`), { asker }),
      );
    await Promise.all([...ask("a", 4), ...ask("b", 2), ...ask("c", 1)]);
    // The first runs at once, before anybody else has asked.
    expect(log).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  });

  it("takes no more than a hundred of one asker, and a thousand in all; those that give up make room", async () => {
    const turnstile = new Turnstile();
    const enough = new AbortController();
    const started: string[] = [];
    const ask = async (asker: string, signal?: AbortSignal) => {
      await turnstile.run(async () => void started.push(asker), { asker, signal });
    };
    let finish = (): void => {};
    const first = turnstile.run(() => new Promise<void>((resolve) => (finish = resolve)));
    const greedy = Array.from({ length: 110 }, () => ask("greedy", enough.signal).catch((error) => error));
    const others = Array.from({ length: 1000 }, (_, index) => ask(`other ${index}`).catch((error) => error));
    await expect(ask("late")).rejects.toMatchObject({ code: "card.busy" });
    enough.abort(new Error("no more"));
    const late = ask("late");
    finish();
    await Promise.all([first, late]);
    const busy = (outcomes: unknown[]) => outcomes.filter(isCodedError).length;
    expect(busy(await Promise.all(greedy))).toBe(10);
    expect(busy(await Promise.all(others))).toBe(100);
    expect(started).toHaveLength(901);
    expect(started).not.toContain("greedy");
    expect(turnstile.isBusy).toBe(false);
  });

  describe("told of long waits", () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    it("says after a second how many wait, again every five, and no more once nobody does", async () => {
      vi.useFakeTimers();
      const told: number[] = [];
      const turnstile = new Turnstile({ onLongWait: (waiting) => told.push(waiting) });
      const finish: (() => void)[] = [];
      const runs = [1, 2, 3].map(() =>
        turnstile.run(() => new Promise<void>((resolve) => finish.push(resolve))),
      );
      const step = async (ms: number) => {
        await vi.advanceTimersByTimeAsync(ms);
        return told.splice(0);
      };
      expect(await step(999)).toEqual([]);
      expect(await step(1)).toEqual([2]);
      expect(await step(4_999)).toEqual([]);
      finish.shift()?.();
      expect(await step(1)).toEqual([1]);
      finish.shift()?.();
      await step(0);
      finish.shift()?.();
      expect(await step(20_000)).toEqual([]);
      await Promise.all(runs);
      // One that runs at once waits for nobody.
      const alone = turnstile.run(() => new Promise<void>((resolve) => finish.push(resolve)));
      expect(await step(20_000)).toEqual([]);
      finish.shift()?.();
      await alone;
    });
  });
});
