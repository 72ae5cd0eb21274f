import { once } from "node:events";
import type net from "node:net";
import { streamPair } from "@farside/protocol/testing";
import { isReset } from "@farside/ssh";
import { describe, expect, test } from "vitest";
import { type RelayMode, relayTo } from "../testing/relay-front.ts";
import { connect, serveTcp, type TestServer } from "../testing/tcp.ts";
import { within } from "../testing/within.ts";
import { Relay } from "./relay.ts";

const MEBIBYTE = 1024 * 1024;

/** What `socket` reads, and how that is over. */
async function hear(socket: net.Socket): Promise<{ bytes: number; by: "end" | "reset" }> {
  let bytes = 0;
  let by: "end" | "reset" | undefined;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  // libuv reports a reset right behind data as an end.
  socket.on("end", () => (by ??= isReset(socket) === true ? "reset" : "end"));
  socket.on("error", () => (by = "reset"));
  socket.resume();
  const over = Promise.race([once(socket, "end"), once(socket, "close")]).catch(() => {});
  await within(over, () => `it is not over after ${bytes} bytes`);
  return { bytes, by: by ?? "reset" };
}

/** A client joined to a server's socket, which is not read yet, through a relay. */
async function joined(mode: RelayMode) {
  const server: TestServer = await serveTcp((socket) => socket.pause());
  const front = await relayTo({ host: "127.0.0.1", port: server.port }, mode);
  const client = await connect({ host: "127.0.0.1", port: front.port });
  const target = await server.first;
  await front.begun;
  return {
    ...{ client, target, front },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await front[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe.each<RelayMode>(["pooled", "stream"])("a reset right behind data (%s)", (mode) => {
  test.each([
    ["client", "target", 5],
    ["client", "target", 60_000],
    ["target", "client", 5],
    ["target", "client", 60_000],
  ] as const)("of the %s is one for the %s, which gets all %i bytes before it", async (from, to, bytes) => {
    await using pair = await joined(mode);
    pair[from].write(Buffer.alloc(bytes));
    pair[from].resetAndDestroy();
    expect(await hear(pair[to])).toEqual({ bytes, by: "reset" });
    expect(await pair.front.outcome).toEqual({ reason: "reset" });
  });
});

describe("a relay that is cut", () => {
  test("hides it from nobody who has not got everything, where the end has come already", async () => {
    const [target, far] = streamPair();
    await using server = await serveTcp((socket) => socket.pause());
    const client = await connect({ host: "127.0.0.1", port: server.port });
    const inner = await server.first;
    // More than the kernel takes for a client that does not read: the rest, with the end behind it, waits here.
    const sent = Buffer.alloc(16 * MEBIBYTE);
    far.end(sent);
    const relay = new Relay({ stream: inner }, { stream: target });
    await expect.poll(() => [inner.writableEnded, inner.writableLength > 0]).toEqual([true, true]);
    relay.cut();
    const heard = await hear(client);
    expect(heard.by).toBe("reset");
    expect(heard.bytes).toBeLessThan(sent.length);
    client.destroy();
  });

  test.each(["it is cut", "the client is gone when the answer begins"])(
    "takes nothing back of an upload that had ended before %s",
    async (how) => {
      await using pair = await joined("pooled");
      const bytes = MEBIBYTE;
      pair.client.end(Buffer.alloc(bytes));
      // The kernel has all of it, and the end.
      const inner = pair.front.targets[0];
      await expect.poll(() => inner?.writableFinished).toBe(true);
      if (how === "it is cut") {
        pair.front.relays[0]?.cut();
      } else {
        pair.client.destroy();
        // What it is answered with at first is only then refused.
        const speaking = setInterval(() => pair.target.write("so far"), 5);
        await pair.front.outcome;
        clearInterval(speaking);
      }
      await pair.front.outcome;
      expect(await hear(pair.target)).toEqual({ bytes, by: "end" });
    },
  );
});
