import "./testing/without-addon.ts";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Sshd, startSshd } from "../testing/index.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { LOCAL_WINDOW } from "./limits.ts";
import { connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import { sendPayload, startScriptedServer } from "./testing/scripted-server.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen, until } from "./testing/tcp.ts";
import { WindowBudget } from "./window-budget.ts";

const mebibyte = 1024 * 1024;

/** Resolves when `count` is at least `least` and has not changed for 200 ms: everything is blocked. */
async function untilStill(count: () => number, least: number): Promise<void> {
  let last = -1;
  let since = 0;
  await until(
    () => {
      const now = performance.now();
      if (count() !== last) {
        last = count();
        since = now;
      }
      return last >= least && now - since > 200;
    },
    "the transfers are blocked",
    60_000,
  );
}

describe("backpressure through a data path", { timeout: 90_000 }, () => {
  let sshd: Sshd;
  let windows: WindowBudget;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(async () => {
    await sshd?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    windows = new WindowBudget();
  });

  it("holds 16 saturated uploads to a target that does not read, and goes on when it does", async () => {
    await using connection = await connectTo(sshd, { windows });
    const total = 24 * mebibyte;
    const atTarget: Socket[] = [];
    await using target = await listen((socket) => void atTarget.push(socket.pause()));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const clients = await Promise.all(Array.from({ length: 16 }, () => dial(relay.port)));
    const before = process.memoryUsage();
    const sent = clients.map((client, index) => sendRandom(client, total, index));
    await untilStill(() => relay.bytes().in, 16 * mebibyte);
    const after = process.memoryUsage();
    expect(relay.bytes().in).toBeLessThan(16 * total);
    expect(connection.path.queuedBytes).toBeLessThan(2 * mebibyte);
    // Of the whole process, which is also the clients and the target.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(100 * mebibyte);
    const arrived = atTarget.map((socket) => receive(socket.resume()));
    const digests = (await Promise.all(arrived)).map(({ digest }) => digest);
    expect(digests.sort()).toEqual((await Promise.all(sent)).sort());
  });

  it("holds 16 downloads to clients that do not read within their windows, while another one runs", async () => {
    await using connection = await connectTo(sshd, { windows });
    const sent: Promise<string>[] = [];
    await using target = await listen(
      (socket) => void sent.push(sendRandom(socket, 24 * mebibyte, sent.length)),
    );
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const slow = await Promise.all(Array.from({ length: 16 }, () => dial(relay.port)));
    for (const client of slow) client.pause();
    await untilStill(() => relay.bytes().out, 8 * mebibyte);
    // What the kernel took let the windows grow, but together they stay bounded.
    expect(windows.given).toBeLessThanOrEqual(128 * mebibyte);
    const quick = await dial(relay.port);
    expect((await receive(quick)).bytes).toBe(24 * mebibyte);
    quick.end();
    const digests = (await Promise.all(slow.map((client) => receive(client.resume())))).map(
      ({ digest }) => digest,
    );
    for (const client of slow) client.end();
    expect(new Set(digests)).toEqual(new Set((await Promise.all(sent)).slice(0, 16)));
    await until(() => relay.ends.length === 17, "the relays ended");
    await until(() => connection.path.channelCount === 0, "all channels let go");
    expect(windows.given).toBe(0);
  });

  it("lets a channel's window grow while the client keeps up", async () => {
    await using connection = await connectTo(sshd, { windows });
    await using target = await listen((socket) => void sendRandom(socket, 256 * mebibyte, 1).catch(() => {}));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    client.resume();
    await until(() => windows.given >= LOCAL_WINDOW, "the window grew");
    client.destroy();
    await until(() => windows.given === 0, "the window was given back");
    expect(windows.given).toBe(0);
  });

  it("keeps no memory after many transfers", async () => {
    await using connection = await connectTo(sshd, { windows });
    await using target = await listen((socket) => void socket.pipe(socket));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const transfer = async (count: number) => {
      for (let done = 0; done < count; done += 1) {
        const clients = await Promise.all(Array.from({ length: 4 }, () => dial(relay.port)));
        const echoes = clients.map((client) => receive(client));
        await Promise.all(clients.map((client) => sendRandom(client, 2 * mebibyte, done % 100)));
        await Promise.all(echoes);
      }
    };
    await transfer(5);
    const before = process.memoryUsage();
    await transfer(10);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(48 * mebibyte);
    await until(() => connection.path.channelCount === 0, "all channels let go");
    expect(windows.given).toBe(0);
  });
});

describe("a client that is slow to take an answer", () => {
  it("still gets all of it when the connection is lost behind it", async () => {
    await using folder = await temporaryFolder();
    let length = 0;
    await using server = await startScriptedServer((protocol, { sender, window }) => {
      length = window;
      protocol.channelOpenConfirm(sender, 0, 2 ** 21, 32_768);
      for (let sent = 0; sent < window; sent += 32_768) protocol.channelData(sender, Buffer.alloc(32_768));
      protocol.channelEOF(sender);
    });
    await using connection = await connectTo(server);
    // The kernel holds little for a unix socket: most waits in the channel.
    await using relay = await relayTo(
      connection.path,
      { host: "any", port: 1 },
      { path: folder.file("listener.sock") },
    );
    const client = connect({ path: folder.file("listener.sock"), allowHalfOpen: true });
    await until(() => (connection.stream as Socket).bytesRead > length && length > 0, "all was sent");
    connection.stream.destroy();
    await connection.path.closed;
    expect(relay.bytes().out).toBeLessThan(length);
    let bytes = 0;
    client.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await once(client, "end");
    expect(bytes).toBe(length);
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toMatchObject([{ reason: "error", error: { code: "hop.lost" } }]);
  });
});

describe("a flood of tiny packets", { timeout: 60_000 }, () => {
  it("at a client that does not read costs what it weighs", async () => {
    const count = 64 * 1024;
    await using server = await startScriptedServer((protocol, { sender, window }) => {
      protocol.channelOpenConfirm(sender, 0, 2 ** 21, 32_768);
      const tiny = Buffer.from([0x5e, 0, 0, 0, 0, 0, 0, 0, 1, 0x78]);
      tiny.writeUInt32BE(sender, 1);
      for (let sent = 0; sent < Math.min(window, count); sent += 1) sendPayload(protocol, tiny);
    });
    await using connection = await connectTo(server, { windows: new WindowBudget(0) });
    const channel = await connection.path.open({ host: "any", port: 1 });
    const before = process.memoryUsage();
    let received = 0;
    await until(
      () => {
        const { bytesRead } = connection.stream as Socket;
        const isStill = bytesRead === received && bytesRead > count * 32;
        received = bytesRead;
        return isStill;
      },
      "everything was read",
      50_000,
    );
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(64 * mebibyte);
    channel.destroy();
    expect(connection.errors).toEqual([]);
  });
});
