import "./testing/without-addon.ts";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { connectTo } from "./testing/connection.ts";
import { confirm, remoteId, target } from "./testing/one-channel.ts";
import { startScriptedServer } from "./testing/scripted-server.ts";
import { dial, listen, until } from "./testing/tcp.ts";

describe("a server", { timeout: 60_000 }, () => {
  it("that never answers is waited for no longer than told", async () => {
    await using server = await startScriptedServer(() => {});
    await using connection = await connectTo(server);
    await expect(connection.path.open(target, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
    expect(connection.path.channelCount).toBe(1);
  });

  it("that answers too late gets its channel closed", async () => {
    let answer: (() => void) | undefined;
    const closes: number[] = [];
    await using server = await startScriptedServer((protocol, request) => {
      protocol._handlers["CHANNEL_CLOSE"] = (_, id: number) => closes.push(id);
      answer = () => confirm(protocol, request);
    });
    await using connection = await connectTo(server);
    await expect(connection.path.open(target, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
    await until(() => answer !== undefined, "the request came");
    answer?.();
    await until(() => closes.length === 1, "the channel was closed");
    expect(closes).toEqual([remoteId]);
  });

  it.each([
    ["the relay is cut", { reason: "closed" }],
    ["the connection is gone", { reason: "error", error: expect.objectContaining({ code: "hop.lost" }) }],
  ])("that never lets go of a channel which has ended keeps the relay open until %s", async (how, end) => {
    let asked = 0;
    await using server = await startScriptedServer((protocol, request) => {
      protocol._handlers["CHANNEL_CLOSE"] = () => {
        asked += 1;
      };
      confirm(protocol, request);
      protocol.channelEOF(request.sender);
    });
    await using connection = await connectTo(server);
    await using listener = await listen(() => {}, { pauseOnConnect: true });
    const accepted = once(listener.server, "connection");
    const client = await dial(listener.port);
    const [socket] = await accepted;
    const relay = (await connection.path.open(target)).join(socket);
    const ends: unknown[] = [];
    const ended = relay.closed.then((reason) => ends.push(reason));
    client.resume().end("all of it");
    await once(client, "close");
    await until(() => asked === 1, "the channel was closed");
    expect(ends).toEqual([]);
    if (how === "the relay is cut") relay.cut();
    else server.socket().destroy();
    await ended;
    expect([ends, relay.bytes]).toEqual([[end], { in: 9, out: 0 }]);
  });
});
