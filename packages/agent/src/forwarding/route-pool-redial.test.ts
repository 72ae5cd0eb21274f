import { CodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { describe, expect, test, vi } from "vitest";
import { fakeHops, hop } from "../testing/fake-hops.ts";
import { RoutePool } from "./route-pool.ts";
import type { HopNews } from "./shared-hop.ts";

const never = new AbortController().signal;

describe("the hops of a session", () => {
  test("that are lost are told, and dialled again when they are needed", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    try {
      const { pool, connects, lost, live } = fakeHops();
      const route = pool.lease([hop("a"), hop("b")]);
      await route.lastHop(never);
      live[1]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
      await expect.poll(() => lost).toEqual(["id-b: hop.lost"]);
      // Not before its pause is over, which is drawn: all who have lost it want it at the same moment.
      const again = route.lastHop(never);
      await vi.advanceTimersByTimeAsync(499);
      expect(connects).toEqual(["a", "a>b"]);
      await vi.advanceTimersByTimeAsync(1);
      await again;
      expect(connects).toEqual(["a", "a>b", "a>b"]);
    } finally {
      vi.mocked(Math.random).mockRestore();
      vi.useRealTimers();
    }
  });

  test("that are lost are dialled again by themselves, with pauses that grow, and whoever uses them is told", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    // Each pause in its full length.
    vi.spyOn(Math, "random").mockReturnValue(0.999);
    try {
      let isDown = false;
      const down = new CodedError("hop.unreachable", "no route", { leg: "hop" });
      const { pool, connects, live } = fakeHops(async () => {
        if (isDown) throw down;
      });
      const route = pool.lease([hop("a")]);
      const news: HopNews[] = [];
      route.watch((each) => news.push(each));
      await route.lastHop(never);
      isDown = true;
      live[0]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
      await vi.advanceTimersByTimeAsync(1_000);
      expect(connects).toEqual(["a", "a"]);
      expect(news.map((each) => (each.news === "down" ? each.error.code : each.news))).toEqual([
        "up",
        "hop.lost",
        "hop.unreachable",
      ]);
      // Relays that ask meanwhile change nothing of it.
      await expect(route.lastHop(never)).rejects.toMatchObject({ code: "hop.unreachable" });
      expect(connects).toHaveLength(2);
      isDown = false;
      await vi.advanceTimersByTimeAsync(2_000);
      expect(news.at(-1)).toEqual({ news: "up" });
      expect(connects).toHaveLength(3);
      // Given back, it is left alone.
      live[1]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
      await route.close();
      await vi.advanceTimersByTimeAsync(100_000);
      expect(connects).toHaveLength(3);
    } finally {
      vi.mocked(Math.random).mockRestore();
      vi.useRealTimers();
    }
  });

  test("that refuse the login are not dialled again by themselves", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      let isRefused = false;
      const { pool, connects, live } = fakeHops(async () => {
        if (isRefused) throw new CodedError("hop.auth-refused", "no", { leg: "hop" });
      });
      const route = pool.lease([hop("a")]);
      const news: HopNews[] = [];
      route.watch((each) => news.push(each));
      await route.lastHop(never);
      isRefused = true;
      live[0]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
      await vi.advanceTimersByTimeAsync(600_000);
      expect(connects).toEqual(["a", "a"]);
      expect(news.at(-1)).toMatchObject({
        news: "down",
        error: { code: "hop.auth-refused" },
        retryInMs: undefined,
      });
    } finally {
      vi.useRealTimers();
    }
  });

  test("that refuse the login are dialled no more often than their sshd puts up with, whoever wants them, and nobody is told of each", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      let isRefused = false;
      const { pool, connects, live } = fakeHops(async () => {
        if (isRefused) throw new CodedError("hop.auth-refused", "no", { leg: "hop" });
      });
      const kept = pool.lease([hop("a")]);
      await kept.lastHop(never);
      const news: HopNews[] = [];
      kept.watch((each) => news.push(each));
      isRefused = true;
      live[0]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
      const since = performance.now();
      await vi.advanceTimersByTimeAsync(1_000);
      const charges = connects.slice(1).map(() => performance.now() - since);
      expect(charges).toHaveLength(1);
      for (let second = 0; second < 120; second += 1) {
        const before = connects.length;
        // A forward that is opened anew each time, by another login name, and a client of the one that is open.
        const other = pool.lease([hop("a", { user: `user-${second}` })]);
        await expect(other.lastHop(never)).rejects.toThrow();
        await expect(kept.lastHop(never)).rejects.toThrow();
        await other.close();
        charges.push(...connects.slice(before).map(() => performance.now() - since));
        await vi.advanceTimersByTimeAsync(1_000);
      }
      // As sshd counts: 5 s each, which run off in real time; more than 15 s are a penalty.
      let [expiry, most] = [0, 0];
      for (const at of charges) {
        expiry = Math.max(expiry, at) + 5_000;
        most = Math.max(most, expiry - at);
      }
      expect(most).toBeLessThanOrEqual(14_000);
      expect(charges.length).toBeGreaterThan(10);
      expect(news.length).toBeLessThanOrEqual(charges.length + 1);
    } finally {
      vi.useRealTimers();
    }
  });

  test("of one host are logged in to two at a time, and no more once those were refused, however many are lost together", async () => {
    let isRestarted = false;
    let [loggingIn, most] = [0, 0];
    const refusals: (() => void)[] = [];
    const live: ((error: CodedError) => void)[] = [];
    const pool = new RoutePool({
      connect: async (_declaration, _previous, { admit }) => {
        await admit();
        loggingIn += 1;
        most = Math.max(most, loggingIn);
        if (isRestarted) await new Promise<void>((resolve) => refusals.push(resolve));
        loggingIn -= 1;
        if (isRestarted) throw new CodedError("hop.auth-refused", "no", { leg: "hop" });
        const closed = new Promise<CodedError>((resolve) => live.push(resolve));
        return {
          name: "a",
          serverHostKey: Buffer.from("key"),
          closed,
          close: async () => {},
        } as unknown as Hop;
      },
      onConnected: () => {},
      onLost: () => {},
    });
    const routes = Array.from({ length: 20 }, (_, index) =>
      pool.lease([hop("a", { user: `user-${index}` })]),
    );
    const news = routes.map((route) => {
      const heard: HopNews[] = [];
      route.watch((each) => heard.push(each));
      return heard;
    });
    await Promise.all(routes.map((route) => route.lastHop(never)));
    isRestarted = true;
    most = 0;
    // All pauses are over at once: the others are at the door while two are refused.
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    for (const drop of live) drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
    await Promise.resolve();
    const outcomes = routes.map((route) => route.lastHop(never).catch(({ message }) => String(message)));
    await expect.poll(() => refusals.length).toBe(2);
    expect([loggingIn, most]).toEqual([2, 2]);
    random.mockRestore();
    for (const refuse of refusals.splice(0)) refuse();
    const said = await Promise.all(outcomes);
    // 10 s of penalties stand: the others were not dialled.
    expect([most, refusals.length]).toEqual([2, 0]);
    expect(said.filter((message) => /again in \d+ s/.test(String(message)))).toHaveLength(18);
    // Who was refused is to change something. Of the others nobody knows yet: they are told anew when they are tried again.
    const downs = news.map((heard) => heard.filter((each) => each.news === "down"));
    expect(downs.filter((each) => each.at(-1)?.retryInMs === undefined)).toHaveLength(2);
    const again = downs.filter((each) => each.length === 2 && each[1]?.retryInMs !== undefined);
    expect(again.map((each) => each[1]?.error.code)).toEqual(Array(18).fill("hop.lost"));
    await pool.close();
  });

  test("tell whoever uses them that a signature is waited for", async () => {
    const pool = new RoutePool({
      connect: async (_declaration, _previous, { onSigning }) => {
        onSigning(true);
        onSigning(false);
        throw new CodedError("sign.refused", "no", { leg: "hop" });
      },
      onConnected: () => {},
      onLost: () => {},
    });
    const route = pool.lease([hop("a"), hop("b")]);
    const news: string[] = [];
    route.watch((each) =>
      news.push(each.news === "signing" ? `${each.hop.host} ${each.isWanted}` : each.news),
    );
    await expect(route.lastHop(never)).rejects.toMatchObject({ code: "sign.refused" });
    expect(news).toEqual(["a true", "a false"]);
  });

  test("that fail are not dialled again for each client that waits", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const { pool, connects } = fakeHops(() =>
        Promise.reject(new CodedError("sign.refused", "no", { leg: "hop", hint: "ask" })),
      );
      const route = pool.lease([hop("a")]);
      const failures = await Promise.allSettled(Array.from({ length: 1000 }, () => route.lastHop(never)));
      expect(failures.every(({ status }) => status === "rejected")).toBe(true);
      const message = "no (dialled again in 1 s at the earliest)";
      const again = { code: "sign.refused", hint: "ask", message };
      await expect(route.lastHop(never)).rejects.toMatchObject(again);
      await expect(route.lastHop(never)).rejects.toMatchObject(again);
      expect(connects).toEqual(["a"]);
    } finally {
      vi.useRealTimers();
    }
  });
});
