import "./testing/without-addon.ts";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { startSshd } from "../testing/index.ts";
import { isReset } from "./is-reset.ts";
import { connectTo } from "./testing/connection.ts";
import { type ChannelScript, confirm, target } from "./testing/one-channel.ts";
import { relayTo } from "./testing/relay.ts";
import { type ServerProtocol, startScriptedServer } from "./testing/scripted-server.ts";
import { receive } from "./testing/stream-digest.ts";
import { dial, listen, until } from "./testing/tcp.ts";

const kibibyte = 1024;

/** One relay to a server that answers by `script`. */
async function relayTold(script: ChannelScript) {
  const server = await startScriptedServer((protocol, request) => script(protocol, request, server));
  const connection = await connectTo(server);
  const relay = await relayTo(connection.path, target);
  const client = await dial(relay.port);
  return {
    ...{ client, relay, path: connection.path },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await relay[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** What the client gets, and how that is over. */
async function heardBy(client: Socket): Promise<{ bytes: number; by: "end" | "reset" }> {
  let bytes = 0;
  let wasReset = false;
  client.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  client.on("error", () => {
    wasReset = true;
  });
  client.on("end", () => {
    wasReset ||= isReset(client) === true;
  });
  client.resume();
  await Promise.race([once(client, "end"), once(client, "close")]).catch(() => {});
  return { bytes, by: wasReset ? "reset" : "end" };
}

/** Sends as much as one channel's window takes, in packets that the client said it takes. */
function fillWindow(protocol: ServerProtocol, id: number, bytes: number): void {
  for (let left = bytes; left > 0; left -= 32 * kibibyte)
    protocol.channelData(id, Buffer.alloc(Math.min(left, 32 * kibibyte)));
}

describe("a reset", { timeout: 60_000 }, () => {
  it.each([1, 60_000])(
    "of the client right behind %i bytes takes none of them back, and closes the channel",
    async (bytes) => {
      await using sshd = await startSshd();
      await using connection = await connectTo(sshd);
      const arrived: Promise<{ bytes: number }>[] = [];
      await using service = await listen((socket) => arrived.push(receive(socket)));
      await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: service.port });
      const client = await dial(relay.port);
      await until(() => arrived.length === 1, "the service was reached");
      client.write(Buffer.alloc(bytes));
      client.resetAndDestroy();
      // sshd makes an end of it: a channel knows no reset.
      expect((await arrived[0])?.bytes).toBe(bytes);
      await until(() => relay.ends.length === 1, "the relay ended");
      expect([relay.ends, relay.bytes().in]).toEqual([[{ reason: "reset", by: "client" }], bytes]);
      await until(() => connection.path.channelCount === 0, "the channel was let go");
    },
  );

  it("of the client behind more than the server takes is seen when that takes more, and drops the rest", async () => {
    const told: string[] = [];
    let takeMore = () => {};
    await using given = await relayTold((protocol, request) => {
      protocol._handlers["CHANNEL_CLOSE"] = () => {
        told.push("close");
        protocol.channelClose(request.sender);
      };
      protocol._handlers["CHANNEL_EOF"] = () => told.push("end");
      confirm(protocol, request, 1000);
      takeMore = () => protocol.channelWindowAdjust(request.sender, 2 ** 20);
    });
    given.client.write(Buffer.alloc(300 * kibibyte));
    await until(() => given.relay.bytes().in >= 1000, "the window is full");
    given.client.resetAndDestroy();
    // As with `ssh -L`: nobody reads a client whose data could not be sent on.
    takeMore();
    await until(() => given.path.channelCount === 0, "the channel was let go");
    expect(given.relay.ends).toEqual([{ reason: "reset", by: "client" }]);
    expect(told.at(-1)).toBe("close");
  });

  it("of the target is one for a client that reads, after all that the target sent", async () => {
    const sent = 100 * kibibyte;
    await using given = await relayTold((protocol, request) => {
      confirm(protocol, request);
      fillWindow(protocol, request.sender, sent);
      protocol.channelClose(request.sender);
    });
    expect(await heardBy(given.client)).toEqual({ bytes: sent, by: "reset" });
    await until(() => given.relay.ends.length === 1, "the relay ended");
    expect(given.relay.ends).toEqual([{ reason: "reset", by: "target" }]);
    await until(() => given.path.channelCount === 0, "the channel was let go");
  });

  it("of the target never looks like an end to a client that comes to read later", async () => {
    let isClosed = false;
    await using given = await relayTold((protocol, request) => {
      confirm(protocol, request);
      fillWindow(protocol, request.sender, request.window);
      protocol.channelClose(request.sender);
      isClosed = true;
    });
    await until(() => isClosed && given.path.channelCount === 0, "the server closed the channel");
    expect((await heardBy(given.client)).by).toBe("reset");
    await until(() => given.relay.ends.length === 1, "the relay ended");
    expect(given.relay.ends).toEqual([{ reason: "reset", by: "target" }]);
  });

  it("of the target while much of the client's waits for its window resets the client, and drops that", async () => {
    let close = () => {};
    await using given = await relayTold((protocol, request) => {
      confirm(protocol, request, 1000);
      close = () => protocol.channelClose(request.sender);
    });
    given.client.write(Buffer.alloc(8 * 1024 * kibibyte));
    await until(() => given.relay.bytes().in >= 1000, "the window is full");
    close();
    expect(await heardBy(given.client)).toEqual({ bytes: 0, by: "reset" });
    await until(() => given.relay.ends.length === 1, "the relay ended");
    expect(given.relay.ends).toEqual([{ reason: "reset", by: "target" }]);
    await until(() => given.path.channelCount === 0, "the channel was let go");
  });

  it("of the target with data on its way in both directions ends both", async () => {
    let close = () => {};
    await using given = await relayTold((protocol, request) => {
      confirm(protocol, request, 1000);
      fillWindow(protocol, request.sender, 64 * kibibyte);
      close = () => protocol.channelClose(request.sender);
    });
    given.client.write(Buffer.alloc(1024 * kibibyte));
    await until(() => given.relay.bytes().in >= 1000, "the window is full");
    close();
    const { bytes, by } = await heardBy(given.client);
    expect([bytes <= 64 * kibibyte, by]).toEqual([true, "reset"]);
    await until(() => given.relay.ends.length === 1, "the relay ended");
    expect(given.relay.ends).toEqual([{ reason: "reset", by: "target" }]);
  });
});
