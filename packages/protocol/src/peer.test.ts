import { afterEach, describe, expect, test } from "vitest";
import { CodedError } from "./errors.ts";
import { FramedStream } from "./framed-stream.ts";
import { handle } from "./handlers.ts";
import { Peer } from "./peer.ts";
import { streamPair } from "./testing/index.ts";
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

describe("a request", () => {
  test("is answered, in both directions at once and out of order", async () => {
    const first = gate();
    const handlers = () => ({
      requests: [
        answerDouble,
        handle(wait, async () => {
          await first.passed;
          return { text: "waited" };
        }),
      ],
    });
    const [a, b] = peerPair(handlers(), handlers());
    const slow = a.request(wait, {});
    expect(await Promise.all([a.request(double, { number: 2 }), b.request(double, { number: 3 })])).toEqual([
      { number: 4 },
      { number: 6 },
    ]);
    first.pass();
    expect(await slow).toEqual({ text: "waited" });
  });

  test("brings the other side's coded error, with hint, leg and data", async () => {
    const [a] = peerPair(
      {},
      {
        requests: [
          handle(double, () => {
            throw new CodedError("forward.port-in-use", "cannot bind 127.0.0.1:1", {
              hint: "Take another.",
              leg: "bind",
              data: { port: 1, endless: Number.POSITIVE_INFINITY },
            });
          }),
        ],
      },
    );
    await expect(a.request(double, { number: 1 })).rejects.toMatchObject({
      code: "forward.port-in-use",
      message: "cannot bind 127.0.0.1:1",
      hint: "Take another.",
      leg: "bind",
      data: { port: 1 },
    });
  });

  test("brings an error that is too long or ugly cut and escaped, and the session lives on", async () => {
    const requests = [
      handle(double, () => {
        throw new CodedError("hop.lost", `\x1b[31m\ud800${"x".repeat(100_000)}`, {
          data: { big: "y".repeat(100_000) },
        });
      }),
    ];
    const [a] = peerPair({}, { requests });
    const failure = await a.request(double, { number: 1 }).catch((error: CodedError) => error);
    expect(failure).toMatchObject({
      code: "hop.lost",
      message: expect.stringMatching(/^\\x1b\[31m\ufffdx+…$/),
    });
    await expect(a.request(double, { number: 1 })).rejects.toMatchObject({ code: "hop.lost" });
  });

  test("brings a handler's bug as internal, without a stack, and tells the side that has it", async () => {
    const bugs: unknown[] = [];
    const bug = new Error("undefined is not a function");
    const requests = [
      handle(double, () => {
        throw bug;
      }),
      handle(wait, () => ({ text: 1 }) as never),
    ];
    const [a] = peerPair({}, { requests, onBug: (error) => bugs.push(error) });
    const failure = await a.request(double, { number: 1 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "internal", message: "undefined is not a function" });
    expect(JSON.stringify(failure)).not.toContain("peer.test");
    await expect(a.request(wait, {})).rejects.toMatchObject({ code: "internal" });
    expect(bugs).toEqual([bug, expect.any(TypeError)]);
  });

  test("that the other side does not know is answered with protocol.bad-message, and the session lives on", async () => {
    const [a] = peerPair({}, { requests: [answerDouble] });
    await expect(a.request(wait, {})).rejects.toMatchObject({ code: "protocol.bad-message" });
    expect(await a.request(double, { number: 1 })).toEqual({ number: 2 });
  });

  test("with params that its own side can't send is a bug of the caller", async () => {
    const [a] = peerPair({}, { requests: [answerDouble] });
    await expect(a.request(double, { number: "1" as never })).rejects.toThrow(TypeError);
    await expect(a.request(double, { number: Number.NaN })).rejects.toThrow(TypeError);
    expect(await a.request(double, { number: 1 })).toEqual({ number: 2 });
  });

  test("over the limit of open ones is refused by its own side", async () => {
    const { peer } = peerAgainst({ pendingLimit: 2 });
    const pending = Promise.allSettled([1, 2].map((number) => peer.request(double, { number })));
    await expect(peer.request(double, { number: 3 })).rejects.toThrow("2 requests are open already");
    await peer.close();
    expect(await pending).toMatchObject([
      { reason: { code: "agent.gone" } },
      { reason: { code: "agent.gone" } },
    ]);
  });

  test("may be asked and answered at the limit for long without the sides losing count of each other", async () => {
    const requests = [answerDouble];
    const [a] = peerPair({ pendingLimit: 4 }, { pendingLimit: 4, requests }, 16);
    const lane = async () => {
      for (let number = 0; number < 200; number += 1) await a.request(double, { number });
      return true;
    };
    expect(await Promise.all([lane(), lane(), lane(), lane()])).toEqual([true, true, true, true]);
  });
});

describe("the close of a peer", () => {
  test("is orderly for both sides, fails what is pending with agent.gone, and aborts the handlers", async () => {
    const aborted = gate<unknown>();
    const requests = [
      handle(wait, (_params, { signal }) => {
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.pass(signal.reason);
            reject(signal.reason);
          });
        });
      }),
    ];
    const [a, b] = peerPair({}, { requests });
    const request = a.request(wait, {});
    const rejected = expect(request).rejects.toMatchObject({ code: "agent.gone" });
    await a.close();
    await rejected;
    expect(await aborted.passed).toMatchObject({ code: "agent.gone" });
    expect(await Promise.all([a.closed, b.closed])).toEqual([undefined, undefined]);
  });

  test("lets the answers and events that wait go out first", async () => {
    const { peer, other, next } = peerAgainst(
      { requests: [handle(double, async ({ number }) => ({ number }))] },
      16,
    );
    for (let index = 0; index < 20; index += 1) peer.emit(news, { text: `${index}` });
    await other.send({ kind: "request", id: 1, name: "double", params: { number: 7 } });
    const closing = peer.close();
    for (let index = 0; index < 20; index += 1) expect(await next()).toMatchObject({ kind: "event" });
    await closing;
    peer.emit(news, { text: "too late" });
    expect(await next()).toBeUndefined();
  });

  test("does not wait for a handler that does not end, nor for a carrier that takes nothing", async () => {
    const { peer, other } = peerAgainst({ requests: [handle(wait, () => new Promise(() => undefined))] }, 16);
    await other.send({ kind: "request", id: 1, name: "wait", params: {} });
    peer.emit(news, { text: "x".repeat(100_000) });
    await peer.close();
    expect(await peer.closed).toBeUndefined();
  });

  test("happens once: closing again, while closing or later, is the same close", async () => {
    const [a] = peerPair();
    const first = a.close();
    expect(a.close()).toBe(first);
    await a[Symbol.asyncDispose]();
    await expect(a.request(double, { number: 1 })).rejects.toMatchObject({ code: "agent.gone" });
  });

  test("comes with agent.gone when the carrier breaks", async () => {
    const [one, two] = streamPair();
    const peer = new Peer(new FramedStream(one));
    const request = peer.request(double, { number: 1 });
    two.destroy(new Error("ECONNRESET"));
    two.on("error", () => undefined);
    await expect(request).rejects.toMatchObject({ code: "agent.gone" });
    expect(await peer.closed).toMatchObject({ code: "agent.gone" });
  });

  test("comes with protocol.bad-message when the carrier ends within a frame", async () => {
    const [one, two] = streamPair();
    const peer = new Peer(new FramedStream(one));
    two.end(Buffer.from([0, 0]));
    expect(await peer.closed).toMatchObject({ code: "protocol.bad-message" });
  });
});
