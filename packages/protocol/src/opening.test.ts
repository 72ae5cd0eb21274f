import { afterEach, describe, expect, test } from "vitest";
import { FrameDecoder } from "./frame.ts";
import { openingFrames } from "./opening.ts";
import { answerDouble, closeAll, double, news, peerAgainst, peerPair } from "./testing/peer-fixture.ts";

afterEach(closeAll);

describe("what is said before there is a peer", () => {
  test("is what a peer would have said first", async () => {
    const { peer, next } = peerAgainst({});
    peer.emit(news, { text: "good" });
    void peer.request(double, { number: 4 }).catch(() => undefined);
    const opening = openingFrames(news, { text: "good" }, double, { number: 4 });
    expect([...new FrameDecoder().push(opening)]).toEqual([await next(), await next()]);
  });

  test("is checked before it is sent", () => {
    expect(() => openingFrames(news, { text: 1 } as never, double, { number: 4 })).toThrow(TypeError);
    expect(() => openingFrames(news, { text: "" }, double, {} as never)).toThrow(TypeError);
  });

  test("is not asked again: the answer is waited for, later requests have later ids", async () => {
    const { peer, next, other } = peerAgainst({});
    const sent = peer.request(double, { number: 4 }, { isSent: true });
    void peer.request(double, { number: 5 }).catch(() => undefined);
    expect(await next()).toMatchObject({ kind: "request", id: 2 });
    await other.send({ kind: "response", id: 1, result: { number: 8 } });
    expect(await sent).toEqual({ number: 8 });
  });

  test("can be canceled", async () => {
    const { peer, next } = peerAgainst({});
    const stop = new AbortController();
    const sent = peer.request(double, { number: 4 }, { isSent: true, signal: stop.signal });
    stop.abort(new Error("no longer"));
    await expect(sent).rejects.toThrow("no longer");
    expect(await next()).toEqual({ kind: "cancel", id: 1 });
  });

  test("can only be the first", async () => {
    const [peer] = peerPair({}, { requests: [answerDouble] });
    await peer.request(double, { number: 1 });
    await expect(peer.request(double, { number: 2 }, { isSent: true })).rejects.toThrow("not the first");
  });
});
