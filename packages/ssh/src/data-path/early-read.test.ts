import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { EarlyRead } from "./early-read.ts";
import { SMALL_READ } from "./limits.ts";
import { connectTo } from "./testing/connection.ts";
import { confirm, target } from "./testing/one-channel.ts";
import { startScriptedServer } from "./testing/scripted-server.ts";
import { dial, listen, until } from "./testing/tcp.ts";

/** A client that is read while the server has not yet answered the request for its channel. */
async function waiting() {
  const seen = { bytes: 0, text: "", messages: [] as string[] };
  let answer: (() => void) | undefined;
  const server = await startScriptedServer((protocol, request) => {
    const take = (name: string, then: (data: Buffer) => void) => {
      protocol._handlers[`CHANNEL_${name}`] = (_, ...[, data]: [number?, Buffer?]) => {
        seen.messages.push(name);
        then(data ?? Buffer.alloc(0));
      };
    };
    take("DATA", (data) => {
      seen.bytes += data.length;
      if (seen.text.length < 100) seen.text += data.toString("latin1", 0, 100);
    });
    take("EOF", () => {});
    take("CLOSE", () => {});
    answer = () => confirm(protocol, request, 2 ** 24);
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const connection = await connectTo(server);
  onTestFinished(() => connection[Symbol.asyncDispose]());
  const listener = await listen(() => {}, { pauseOnConnect: true });
  onTestFinished(() => listener[Symbol.asyncDispose]());
  const arrived = once(listener.server, "connection");
  const client = await dial(listener.port);
  const [socket] = (await arrived) as [Socket];
  const early = new EarlyRead(socket);
  const opening = connection.path.open(target);
  await until(() => answer !== undefined, "the channel was asked for");
  const join = async () => {
    answer?.();
    return (await opening).join(socket, early);
  };
  return { client, socket, seen, join };
}

describe("a client that is read while its channel is being opened", { timeout: 30_000 }, () => {
  it("has what it said, and that it has ended, go on behind the confirmation", async () => {
    const { client, socket, seen, join } = await waiting();
    client.end("early words");
    await until(() => socket.readableEnded, "the client's end was read");
    expect(seen.messages).toEqual([]);
    const relay = await join();
    await until(() => seen.messages.includes("EOF"), "the end arrived");
    expect(seen).toEqual({ bytes: 11, text: "early words", messages: ["DATA", "EOF"] });
    expect(relay.bytes).toEqual({ in: 11, out: 0 });
  });

  it("has no more read than one read's worth, and loses nothing of the rest", async () => {
    const { client, socket, seen, join } = await waiting();
    const length = 3 * 1024 * 1024;
    client.end(Buffer.alloc(length, "x"));
    await until(() => socket.bytesRead >= SMALL_READ, "it was read");
    await new Promise(setImmediate);
    expect(socket.bytesRead).toBe(SMALL_READ);
    const relay = await join();
    await until(() => seen.messages.includes("EOF"), "the end arrived");
    expect(seen.bytes).toBe(length);
    expect(relay.bytes.in).toBe(length);
  });

  it("goes on being read where it said nothing yet", async () => {
    const { client, seen, join } = await waiting();
    await join();
    client.write("late words");
    await until(() => seen.bytes === 10, "it arrived");
    expect(seen.text).toBe("late words");
  });

  it("is gone when it resets meanwhile", async () => {
    const { client, socket, seen, join } = await waiting();
    client.write("lost");
    await until(() => socket.bytesRead === 4, "it was read");
    client.resetAndDestroy();
    await until(() => socket.closed, "the reset was seen");
    const relay = await join();
    expect(await relay.closed).toEqual({ reason: "reset", by: "client" });
    await until(() => seen.messages.includes("CLOSE"), "the channel was closed");
    expect(seen.messages).not.toContain("EOF");
  });
});
