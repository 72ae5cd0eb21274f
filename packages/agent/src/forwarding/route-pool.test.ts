import { describe, expect, test } from "vitest";
import { fakeHops, hop } from "../testing/fake-hops.ts";

const never = new AbortController().signal;

describe("the hops of a session", () => {
  test("are connected in order, once for all who need them at the same time", async () => {
    const { pool, connects, connected } = fakeHops();
    const route = pool.lease([hop("a"), hop("b")]);
    const hops = await Promise.all(Array.from({ length: 50 }, () => route.lastHop(never)));
    expect(new Set(hops).size).toBe(1);
    expect(connects).toEqual(["a", "a>b"]);
    expect(connected).toEqual(["id-a", "id-b"]);
  });

  test("are shared by routes that begin alike, and by nothing that differs", async () => {
    const { pool, connects } = fakeHops();
    for (const route of [
      [hop("a"), hop("b")],
      [hop("a"), hop("c")],
      [hop("a")],
      [hop("b")],
      [hop("a", { user: "other" })],
      [hop("a", { hostKeys: [Buffer.from("another")] })],
    ]) {
      await pool.lease(route).lastHop(never);
    }
    expect(connects).toEqual(["a", "a>b", "a>c", "b", "a", "a"]);
  });

  test("are closed when the last route that uses them is given back, the last hop first", async () => {
    const { pool, closes, lost } = fakeHops();
    const long = pool.lease([hop("a"), hop("b")]);
    const short = pool.lease([hop("a")]);
    await Promise.all([long.lastHop(never), short.lastHop(never)]);
    await short.close();
    await short.close();
    expect(closes).toEqual([]);
    await long.close();
    expect(closes).toEqual(["a>b", "a"]);
    await expect(long.lastHop(never)).rejects.toMatchObject({ code: "hop.lost" });
    expect(lost).toEqual([]);
  });

  test("go on connecting for the others when one who waits gives up", async () => {
    let letIn = () => {};
    const { pool, connects } = fakeHops(
      () =>
        new Promise((resolve) => {
          letIn = resolve;
        }),
    );
    const route = pool.lease([hop("a")]);
    const impatient = new AbortController();
    const first = route.lastHop(impatient.signal);
    const second = route.lastHop(never);
    const reason = new Error("no more time");
    impatient.abort(reason);
    await expect(first).rejects.toBe(reason);
    letIn();
    expect((await second).name).toBe("a");
    expect(connects).toEqual(["a"]);
  });

  test("that come up after the close are closed at once", async () => {
    let letIn = () => {};
    const { pool, closes, connected } = fakeHops(
      () =>
        new Promise((resolve) => {
          letIn = resolve;
        }),
    );
    const connecting = pool.lease([hop("a")]).lastHop(never);
    const failed = expect(connecting).rejects.toMatchObject({ code: "hop.lost" });
    await new Promise(setImmediate);
    const closing = pool.close();
    letIn();
    await closing;
    await failed;
    expect(closes).toEqual(["a"]);
    expect(connected).toEqual([]);
  });
});
