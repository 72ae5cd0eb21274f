import { afterEach, describe, expect, test } from "vitest";
import { handle, on } from "./handlers.ts";
import { MAX_PENDING_REQUESTS } from "./limits.ts";
import type { WireValue } from "./message-stream.ts";
import { answerDouble, closeAll, double, news, peerAgainst, wait } from "./testing/peer-fixture.ts";

afterEach(closeAll);

describe("a peer that is sent what is not the protocol", () => {
  test.each<[string, WireValue]>([
    ["no map", [1, 2]],
    ["no kind", { id: 1 }],
    ["an unknown kind", { kind: "shout", id: 1 }],
    ["a request without an id", { kind: "request", name: "double", params: {} }],
    ["an id that is not a whole number", { kind: "request", id: 1.5, name: "double", params: {} }],
    ["an id of zero", { kind: "request", id: 0, name: "double", params: {} }],
    ["a name that is too long", { kind: "request", id: 1, name: "x".repeat(256), params: {} }],
    ["params that are not valid", { kind: "request", id: 1, name: "double", params: { number: "1" } }],
    ["no params", { kind: "request", id: 1, name: "double" }],
    ["event data that are not valid", { kind: "event", name: "news", data: { text: 1 } }],
    ["an answer to nothing", { kind: "response", id: 1, result: {} }],
    ["a failure of nothing", { kind: "failure", id: 1, error: { code: "internal", message: "x" } }],
    ["a failure without a code", { kind: "failure", id: 1, error: { message: "x" } }],
    ["a cancel of what was never asked", { kind: "cancel", id: 1 }],
  ])("closes with protocol.bad-message at %s", async (_name, message) => {
    const { peer, other } = peerAgainst({ requests: [answerDouble], events: [on(news, () => undefined)] });
    await other.send(message);
    expect(await peer.closed).toMatchObject({ code: "protocol.bad-message" });
    await expect(peer.request(double, { number: 1 })).rejects.toMatchObject({ code: "agent.gone" });
  });

  test("closes at an id that was used before", async () => {
    const { peer, other, next } = peerAgainst({ requests: [answerDouble] });
    const request = { kind: "request", id: 5, name: "double", params: { number: 1 } };
    await other.send(request);
    await next();
    await other.send(request);
    expect(await peer.closed).toMatchObject({
      code: "protocol.bad-message",
      message: expect.stringContaining("twice"),
    });
  });

  test("closes at a second answer, after the first was given on", async () => {
    const { peer, other, next } = peerAgainst({});
    const request = peer.request(double, { number: 1 });
    await next();
    await other.send({ kind: "response", id: 1, result: { number: 2 } });
    await other.send({ kind: "response", id: 1, result: { number: 3 } });
    expect(await request).toEqual({ number: 2 });
    expect(await peer.closed).toMatchObject({ code: "protocol.bad-message" });
  });

  test("closes at a result that is not valid, and everybody who waits hears why", async () => {
    const { peer, other, next } = peerAgainst({});
    const answers = Promise.allSettled([1, 2].map((number) => peer.request(double, { number })));
    await next();
    await other.send({ kind: "response", id: 1, result: { number: "2" } });
    expect(await answers).toMatchObject([
      { reason: { code: "protocol.bad-message", message: expect.stringContaining("(number)") } },
      { reason: { code: "protocol.bad-message" } },
    ]);
  });

  test("closes at more requests than may be open, whether they are handled or their answers are not read", async () => {
    const handled = peerAgainst({ requests: [handle(wait, () => new Promise(() => undefined))] });
    for (let id = 1; id <= MAX_PENDING_REQUESTS + 1; id += 1) {
      await handled.other.send({ kind: "request", id, name: "wait", params: {} });
    }
    expect(await handled.peer.closed).toMatchObject({ code: "protocol.bad-message" });

    const unread = peerAgainst({ requests: [answerDouble] }, 64);
    const flood = (async () => {
      for (let id = 1; ; id += 1) {
        await unread.other.send({ kind: "request", id, name: "double", params: { number: 1 } });
      }
    })().catch((error: unknown) => error);
    expect(await unread.peer.closed).toMatchObject({ message: expect.stringContaining("requests open") });
    expect(await flood).toMatchObject({ code: "agent.gone" });
  });

  test("takes an error of a newer version as internal, naming its code", async () => {
    const { peer, other, next } = peerAgainst({});
    const failed = expect(peer.request(double, { number: 1 })).rejects.toMatchObject({
      code: "internal",
      data: { originalCode: "new.code\\x1b" },
    });
    await next();
    await other.send({ kind: "failure", id: 1, error: { code: "new.code\x1b", message: "new" } });
    await failed;
  });
});
