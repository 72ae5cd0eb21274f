import { CodedError, type HopDeclaration } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DialBudget } from "./dial-budget.ts";
import type { Place } from "./hop-spread.ts";
import { type Route, RoutePool } from "./route-pool.ts";

const never = new AbortController().signal;
const key = Buffer.from("key");
const hop: HopDeclaration = {
  ...{ hopId: "1", user: "u", host: "sign", port: 22 },
  ...{ hostKeys: [key], publicKeys: [key] },
};

interface FakeHop {
  readonly name: string;
  readonly drop: (error?: CodedError) => void;
  isClosed: boolean;
}

/** Connections without a network, numbered; `answer` decides about each. */
function fakeConnections(
  connections: number,
  {
    answer = async () => key,
    budget,
  }: { answer?: (n: number) => Promise<Uint8Array>; budget?: DialBudget } = {},
) {
  const hops: FakeHop[] = [];
  const warnings: string[] = [];
  const lost: string[] = [];
  let asked = 0;
  let now = 0;
  const pool = new RoutePool({
    connect: async () => {
      asked += 1;
      const n = asked;
      const serverHostKey = await answer(n);
      let drop: (error?: CodedError) => void = () => {};
      const closed = new Promise<CodedError | undefined>((resolve) => {
        drop = resolve;
      });
      const fake: FakeHop = { name: `c${n}`, drop, isClosed: false };
      hops.push(fake);
      const close = async () => {
        fake.isClosed = true;
        drop();
      };
      return { name: fake.name, serverHostKey, closed, close } as unknown as Hop;
    },
    onConnected: () => {},
    onLost: (_, { message }) => lost.push(message),
    onWarning: (message) => warnings.push(message),
    now: () => now,
    budget,
  });
  const pass = (ms: number) => {
    now += ms;
  };
  return { pool, route: pool.lease([hop], connections), hops, warnings, lost, pass, asked: () => asked };
}

/** Takes places and opens them, one after the other; further connections get the time to come up. */
async function openMany(route: Route, count: number): Promise<Place[]> {
  const places: Place[] = [];
  for (let n = 0; n < count; n += 1) {
    const place = await route.take(never);
    place.opened();
    places.push(place);
    await new Promise(setImmediate);
  }
  return places;
}

const spreadOf = (places: readonly Place[]) => {
  const counts = new Map<string, number>();
  for (const { hop: one } of places) counts.set(one.name, (counts.get(one.name) ?? 0) + 1);
  return Object.fromEntries(counts);
};

afterEach(() => {
  vi.useRealTimers();
});

describe("channels to a hop", () => {
  test("are spread evenly over as many connections as are allowed, and it is said once", async () => {
    const { pool, route, warnings, asked } = fakeConnections(4);
    await using _pool = pool;
    expect(spreadOf(await openMany(route, 2000))).toEqual({ c1: 500, c2: 500, c3: 500, c4: 500 });
    expect(asked()).toBe(4);
    expect(warnings).toEqual(["opened connection 2 of 4 to u@sign:22: 129 relays"]);
  });

  test("stay on one connection where only one is allowed, or where there are few", async () => {
    const one = fakeConnections(1);
    expect(spreadOf(await openMany(one.route, 500))).toEqual({ c1: 500 });
    const few = fakeConnections(4);
    for (const place of await openMany(few.route, 128)) place.release();
    expect(spreadOf(await openMany(few.route, 128))).toEqual({ c1: 128 });
    expect([one.warnings, few.warnings]).toEqual([[], []]);
    await Promise.all([one.pool.close(), few.pool.close()]);
  });

  test("do not wait for a further connection, and several ask for one only", async () => {
    let letIn = () => {};
    const waiting = new Promise<Uint8Array>((resolve) => {
      letIn = () => resolve(key);
    });
    const { pool, route, asked } = fakeConnections(4, {
      answer: (n) => (n === 1 ? Promise.resolve(key) : waiting),
    });
    await using _pool = pool;
    expect(spreadOf(await openMany(route, 1000))).toEqual({ c1: 1000 });
    expect(asked()).toBe(2);
    letIn();
    await new Promise(setImmediate);
    expect(spreadOf(await openMany(route, 100))).toEqual({ c2: 100 });
  });

  test("do not fail where a further connection is refused; it is said once, and not asked for again soon", async () => {
    const refused = new CodedError("sign.refused", "the guard refused it", { leg: "hop" });
    const { pool, route, warnings, asked, pass } = fakeConnections(4, {
      answer: (n) => (n === 1 ? Promise.resolve(key) : Promise.reject(refused)),
    });
    await using _pool = pool;
    expect(spreadOf(await openMany(route, 1000))).toEqual({ c1: 1000 });
    expect(asked()).toBe(2);
    pass(299_999);
    await openMany(route, 1);
    expect(asked()).toBe(2);
    // Up to as long again, which is drawn.
    pass(300_001);
    await openMany(route, 10);
    expect(asked()).toBe(3);
    expect(warnings).toEqual([
      "relays to u@sign:22 stay on 1 connection(s), there is no further one: the guard refused it",
    ]);
  });

  test("stay below what a minute allows, without a word", async () => {
    let now = 0;
    const { pool, route, warnings, asked } = fakeConnections(16, { budget: new DialBudget(() => now) });
    await using _pool = pool;
    await openMany(route, 3000);
    expect(asked()).toBe(5);
    now = 60_000;
    await openMany(route, 3000);
    expect(asked()).toBe(10);
    expect(warnings).toHaveLength(1);
  });

  test("do not go to another host that answers with another key", async () => {
    const { pool, route, hops, warnings } = fakeConnections(4, {
      answer: async (n) => (n === 1 ? key : Buffer.from("another")),
    });
    await using _pool = pool;
    expect(spreadOf(await openMany(route, 500))).toEqual({ c1: 500 });
    expect(hops.map(({ isClosed }) => isClosed)).toEqual([false, true]);
    expect(warnings.join()).toMatch(/another host answered/);
  });

  test("go on over the others when a further connection is lost, and get a new one when they are many", async () => {
    const { pool, route, hops, warnings, lost, asked } = fakeConnections(2);
    await using _pool = pool;
    const places = await openMany(route, 300);
    hops[1]?.drop(new CodedError("hop.lost", "the cable broke", { leg: "hop" }));
    await new Promise(setImmediate);
    for (const place of places) if (place.hop.name === "c2") place.release();
    expect(warnings[1]).toBe("a further connection to u@sign:22 is gone: the cable broke");
    expect(lost).toEqual([]);
    expect(spreadOf(await openMany(route, 3))).toEqual({ c1: 1, c3: 2 });
    expect(asked()).toBe(3);
  });

  test("go over the further ones while the first is dialled again", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { pool, route, hops, lost, asked } = fakeConnections(2);
    await using _pool = pool;
    const places = await openMany(route, 300);
    hops[0]?.drop(new CodedError("hop.lost", "gone", { leg: "hop" }));
    await new Promise(setImmediate);
    expect(lost).toEqual(["gone"]);
    for (const place of places) if (place.hop.name === "c1") place.release();
    const meanwhile = await openMany(route, 30);
    expect(spreadOf(meanwhile)).toEqual({ c2: 30 });
    const first = route.takeFirst(never);
    // The longest pause that can be drawn.
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await first).isFurther).toBe(false);
    expect((await openMany(route, 30)).at(-1)?.hop.name).toBe("c3");
    expect(asked()).toBe(3);
  });

  test("leave a further connection that is closed after a minute without any", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { pool, route, hops, warnings } = fakeConnections(2);
    await using _pool = pool;
    const places = await openMany(route, 300);
    const [kept, ...others] = places.filter((place) => place.isFurther);
    for (const place of others) place.release();
    vi.advanceTimersByTime(600_000);
    expect(hops[1]?.isClosed).toBe(false);
    kept?.release();
    kept?.release();
    vi.advanceTimersByTime(59_999);
    expect(hops[1]?.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(hops.map(({ isClosed }) => isClosed)).toEqual([false, true]);
    expect(warnings).toHaveLength(1);
    expect((await route.take(never)).hop.name).toBe("c1");
  });

  test("end with the route: further connections are closed before the first, also one that comes too late", async () => {
    let letIn = () => {};
    const late = new Promise<Uint8Array>((resolve) => {
      letIn = () => resolve(key);
    });
    const { route, hops } = fakeConnections(4, { answer: (n) => (n < 3 ? Promise.resolve(key) : late) });
    await openMany(route, 500);
    const closing = route.close();
    letIn();
    await closing;
    expect(hops.map(({ name, isClosed }) => [name, isClosed])).toEqual([
      ["c1", true],
      ["c2", true],
      ["c3", true],
    ]);
    await expect(route.take(never)).rejects.toMatchObject({ code: "hop.lost" });
  });
});
