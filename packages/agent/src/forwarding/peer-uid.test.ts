import { expect, test } from "vitest";
import { PeerUidLookup } from "./peer-uid.ts";
import type { ConnectionAddresses, SocketOwner, SocketOwners } from "./socket-owner.ts";

const connection: ConnectionAddresses = {
  localAddress: "127.0.0.1",
  localPort: 4444,
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
};

/** A source that says what `answer` says at the time; counts questions and closes. */
function source(answer: SocketOwner | Error) {
  const made = {
    answer,
    asked: 0,
    closes: 0,
    async ownerOf(): Promise<SocketOwner> {
      made.asked += 1;
      if (made.answer instanceof Error) throw made.answer;
      return made.answer;
    },
    async close() {
      made.closes += 1;
    },
  };
  return made satisfies SocketOwners;
}

function lookupOf(tables: SocketOwners, fast: SocketOwners) {
  const told: string[] = [];
  let starts = 0;
  const lookup = new PeerUidLookup({
    tables,
    startFast: () => {
      starts += 1;
      return fast;
    },
    onFallback: (why) => told.push(why),
  });
  return { lookup, told, starts: () => starts };
}

test("the fast source is started with the first connection and asked alone once it agreed with /proc", async () => {
  const tables = source(1000);
  const fast = source(1000);
  const { lookup, starts } = lookupOf(tables, fast);
  expect(starts()).toBe(0);
  expect(await lookup.uidOf(connection)).toBe(1000);
  await expect.poll(() => fast.asked).toBe(1);
  for (let count = 0; count < 4; count += 1) expect(await lookup.uidOf(connection)).toBe(1000);
  expect([starts(), tables.asked, fast.asked]).toEqual([1, 2, 5]);
  fast.answer = "released";
  expect(await lookup.uidOf(connection)).toBeUndefined();
  expect(tables.asked).toBe(2);
  await lookup.close();
  expect([tables.closes, fast.closes]).toEqual([1, 1]);
});

test("a fast source that contradicts /proc is never believed", async () => {
  const tables = source(1000);
  const fast = source(0);
  const { lookup, told } = lookupOf(tables, fast);
  for (let count = 0; count < 3; count += 1) expect(await lookup.uidOf(connection)).toBe(1000);
  expect(told).toEqual(["it says uid 0, /proc says 1000"]);
  expect([tables.asked, fast.asked, fast.closes]).toEqual([3, 2, 1]);
});

test("a fast source that finds nothing where /proc still does is given up", async () => {
  const fast = source("missing");
  const { lookup, told } = lookupOf(source(1000), fast);
  for (let count = 0; count < 4; count += 1) expect(await lookup.uidOf(connection)).toBe(1000);
  expect(told).toEqual(["it finds no connection"]);
  expect(fast.asked).toBe(2);
});

test("clients that are gone before the fast source is asked don't count against it, however many", async () => {
  const fast = source("released");
  let asked = 0;
  // Each is there at the first look, and gone at the second.
  const tables: SocketOwners = {
    ownerOf: async () => {
      asked += 1;
      return asked === 1 || asked % 2 === 0 ? 1000 : "released";
    },
    close: async () => {},
  };
  const { lookup, told } = lookupOf(tables, fast);
  for (let count = 0; count < 20; count += 1) expect(await lookup.uidOf(connection)).toBe(1000);
  expect(told).toEqual([]);
  fast.answer = 1000;
  await lookup.uidOf(connection);
  const before = asked;
  await lookup.uidOf(connection);
  expect(asked).toBe(before);
});

test("a fast source that fails later hands its questions to /proc, for good", async () => {
  const tables = source(1000);
  const fast = source(1000);
  const { lookup, told } = lookupOf(tables, fast);
  await lookup.uidOf(connection);
  await lookup.uidOf(connection);
  await lookup.uidOf(connection);
  fast.answer = new Error("it is gone");
  tables.answer = 33;
  expect(await Promise.all([lookup.uidOf(connection), lookup.uidOf(connection)])).toEqual([33, 33]);
  fast.answer = 0;
  expect(await lookup.uidOf(connection)).toBe(33);
  expect(told).toEqual(["it is gone"]);
  expect(fast.closes).toBe(1);
});

test("what the fast source misses /proc may know; what nobody knows has no uid", async () => {
  const tables = source(1000);
  const fast = source(1000);
  const { lookup } = lookupOf(tables, fast);
  await lookup.uidOf(connection);
  await lookup.uidOf(connection);
  await lookup.uidOf(connection);
  fast.answer = "missing";
  expect(await lookup.uidOf(connection)).toBe(1000);
  tables.answer = "missing";
  expect(await lookup.uidOf(connection)).toBeUndefined();
});

test("a source that can't be started, and one that fails at once, leave the answers to /proc", async () => {
  const why: string[] = [];
  const startFast = () => {
    throw new Error("no processes left");
  };
  const lookup = new PeerUidLookup({ tables: source(7), startFast, onFallback: (text) => why.push(text) });
  expect(await lookup.uidOf(connection)).toBe(7);
  expect(await lookup.uidOf(connection)).toBe(7);
  expect(why).toEqual(["no processes left"]);
  const failing = lookupOf(source(7), source(new Error("no perl")));
  expect(await failing.lookup.uidOf(connection)).toBe(7);
  expect(await failing.lookup.uidOf(connection)).toBe(7);
  expect(failing.told).toEqual(["no perl"]);
});
