import { afterEach, describe, expect, test } from "vitest";
import { handle, on } from "./handlers.ts";
import { MAX_QUEUED_EVENTS } from "./limits.ts";
import { answerDouble, closeAll, double, news, peerAgainst, peerPair } from "./testing/peer-fixture.ts";

afterEach(closeAll);

describe("an event", () => {
  test("comes in order, and before an answer that was given after it", async () => {
    const seen: string[] = [];
    const [a, b] = peerPair(
      { events: [on(news, ({ text }) => seen.push(text))] },
      {
        requests: [
          handle(double, ({ number }) => {
            b.emit(news, { text: "third" });
            return { number };
          }),
        ],
      },
    );
    b.emit(news, { text: "first" });
    b.emit(news, { text: "second" });
    await a.request(double, { number: 1 });
    expect(seen).toEqual(["first", "second", "third"]);
  });

  test("that nobody knows is ignored, and so are fields that nobody knows", async () => {
    const seen: unknown[] = [];
    const { other, next } = peerAgainst({
      requests: [answerDouble],
      events: [on(news, (data) => seen.push(data))],
    });
    await other.send({ kind: "event", name: "from the future", data: null });
    await other.send({ kind: "event", name: "news", data: { text: "x", added: 1 }, added: 2 });
    await other.send({ kind: "request", id: 1, name: "double", params: { number: 1, added: 1 } });
    expect(await next()).toEqual({ kind: "response", id: 1, result: { number: 2 } });
    expect(seen).toEqual([{ text: "x" }]);
  });

  test("whose handler fails, now or later, is a bug that harms nobody else", async () => {
    const bugs: unknown[] = [];
    const events = [
      on(news, ({ text }) => {
        if (text === "now") throw new Error("now");
        return Promise.reject(new Error("later"));
      }),
    ];
    const [a, b] = peerPair({ requests: [answerDouble], events, onBug: (error) => bugs.push(error) });
    b.emit(news, { text: "now" });
    b.emit(news, { text: "later" });
    await b.request(double, { number: 1 });
    expect(bugs).toEqual([new Error("now"), new Error("later")]);
    expect(a.isClosed).toBe(false);
  });

  test("that can't be sent is a bug of the sender, and the next one goes", async () => {
    const bugs: unknown[] = [];
    const seen: string[] = [];
    const [a, b] = peerPair(
      { onBug: (error) => bugs.push(error) },
      { requests: [answerDouble], events: [on(news, ({ text }) => seen.push(text))] },
    );
    a.emit(news, { text: 1 as never });
    a.emit(news, { text: "x".repeat(2_000_000) });
    a.emit(news, { text: "fine" });
    await a.request(double, { number: 1 });
    expect(seen).toEqual(["fine"]);
    expect(bugs).toEqual([expect.any(TypeError), expect.any(RangeError)]);
    expect(b.isClosed).toBe(false);
  });

  test("that may wait does, for the next that may not, and keeps its place", async () => {
    const { peer, next } = peerAgainst({});
    peer.emit(news, { text: "patient" }, { mayWait: true });
    peer.emit(news, { text: "patient, too" }, { mayWait: true });
    let isThere = false;
    const first = next().then((message) => {
      isThere = true;
      return message;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isThere).toBe(false);
    peer.emit(news, { text: "urgent" });
    const texts = [await first, await next(), await next()].map((message) => JSON.stringify(message));
    expect(texts).toEqual(
      ["patient", "patient, too", "urgent"].map((text) => expect.stringContaining(`"${text}"`)),
    );
  });

  test("that may wait goes out by itself before long, with many others at once, and at the close", async () => {
    const { peer, next } = peerAgainst({});
    peer.emit(news, { text: "alone" }, { mayWait: true });
    expect(await next()).toMatchObject({ data: { text: "alone" } });
    for (let index = 0; index < 64; index += 1) peer.emit(news, { text: `${index}` }, { mayWait: true });
    for (let index = 0; index < 64; index += 1)
      expect(await next()).toMatchObject({ data: { text: `${index}` } });
    peer.emit(news, { text: "last" }, { mayWait: true });
    await Promise.all([peer.close(), expect(next()).resolves.toMatchObject({ data: { text: "last" } })]);
  });

  test("never waits for a slow carrier: what does not fit the queue is dropped, counted and told of", async () => {
    const told: number[] = [];
    const { peer, next } = peerAgainst({ onEventsDropped: (count) => told.push(count) }, 16);
    const sent = MAX_QUEUED_EVENTS + 51;
    for (let index = 0; index < sent; index += 1) peer.emit(news, { text: `${index}` });
    // One is with the carrier, so the queue took one more.
    expect(peer.droppedEvents).toBe(50);
    peer.emit(news, { text: "last words" }, { keep: true });
    expect(peer.droppedEvents).toBe(50);
    expect(told).toEqual([]);
    for (let index = 0; index <= MAX_QUEUED_EVENTS; index += 1) {
      expect(await next()).toMatchObject({ data: { text: `${index}` } });
      // There is room for one, but news of each would fill it.
      if (index === 100) expect(told).toEqual([]);
    }
    expect(await next()).toMatchObject({ data: { text: "last words" } });
    expect(told).toEqual([50]);
  });

  test("that is emitted from the news of dropped ones comes in its turn", async () => {
    const { peer, next } = peerAgainst(
      { onEventsDropped: (count) => peer.emit(news, { text: `dropped ${count}` }) },
      16,
    );
    for (let index = 0; index < MAX_QUEUED_EVENTS + 3; index += 1) peer.emit(news, { text: `${index}` });
    const texts: unknown[] = [];
    for (let index = 0; index <= MAX_QUEUED_EVENTS + 1; index += 1)
      texts.push(((await next()) as { data: { text: string } }).data.text);
    expect(texts).toEqual([
      ...Array.from({ length: MAX_QUEUED_EVENTS + 1 }, (_, index) => `${index}`),
      "dropped 2",
    ]);
  });
});
