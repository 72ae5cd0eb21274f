import { getEventListeners } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { handle } from "./handlers.ts";
import {
  answerDouble,
  closeAll,
  double,
  gate,
  news,
  peerAgainst,
  peerPair,
  wait,
} from "./testing/peer-fixture.ts";

afterEach(closeAll);

describe("cancellation", () => {
  test("rejects at once with the signal's reason, aborts the handler, and its late answer harms nobody", async () => {
    const started = gate<AbortSignal>();
    const answered = gate();
    const requests = [
      answerDouble,
      handle(wait, async (_params, { signal }) => {
        started.pass(signal);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        answered.pass();
        return { text: "late" };
      }),
    ];
    const [a, b] = peerPair({}, { requests });
    const controller = new AbortController();
    const request = a.request(wait, {}, { signal: controller.signal });
    const handlerSignal = await started.passed;
    controller.abort(new Error("no longer wanted"));
    await expect(request).rejects.toThrow("no longer wanted");
    await answered.passed;
    expect(handlerSignal.reason).toMatchObject({ code: "canceled" });
    expect(await a.request(double, { number: 1 })).toEqual({ number: 2 });
    expect(a.isClosed || b.isClosed).toBe(false);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("of what was not sent yet sends nothing", async () => {
    const { peer, next, other } = peerAgainst({}, 16);
    peer.emit(news, { text: "x".repeat(5000) });
    const controller = new AbortController();
    const request = peer.request(double, { number: 1 }, { signal: controller.signal });
    controller.abort(new Error("stopped"));
    await expect(request).rejects.toThrow("stopped");
    void peer.request(double, { number: 2 }).catch(() => undefined);
    expect(await next()).toMatchObject({ kind: "event" });
    expect(await next()).toMatchObject({ kind: "request", id: 2 });
    await other.close();
    expect(await peer.closed).toBeUndefined();
  });

  test("before the start asks nothing", async () => {
    const [a] = peerPair({}, { requests: [answerDouble] });
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(a.request(double, { number: 1 }, { signal })).rejects.toThrow("stopped");
  });

  test("leaves no listener on the signal of a request that was answered", async () => {
    const [a] = peerPair({}, { requests: [answerDouble] });
    const { signal } = new AbortController();
    await a.request(double, { number: 1 }, { signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("of what was answered already is no mistake", async () => {
    const { other, next, peer } = peerAgainst({ requests: [answerDouble] });
    await other.send({ kind: "request", id: 1, name: "double", params: { number: 1 } });
    await next();
    await other.send({ kind: "cancel", id: 1 });
    await other.send({ kind: "request", id: 2, name: "double", params: { number: 2 } });
    expect(await next()).toEqual({ kind: "response", id: 2, result: { number: 4 } });
    expect(peer.isClosed).toBe(false);
  });
});
