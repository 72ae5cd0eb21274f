import "./testing/without-addon.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Sshd, startSshd } from "../testing/index.ts";
import { type Connection, connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import { startScriptedServer } from "./testing/scripted-server.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen, until } from "./testing/tcp.ts";

const mebibyte = 1024 * 1024;

/** Sends `bytes` each way over each of `channels` relays at once and says how many key exchanges there were meanwhile. */
async function exchangesDuring(connection: Connection, channels: number, bytes: number): Promise<number> {
  let exchanges = 0;
  const count = () => {
    exchanges += 1;
  };
  connection.client.on("handshake", count);
  const received: Promise<{ digest: string }>[] = [];
  const sent: Promise<string>[] = [];
  await using target = await listen((socket) => {
    received.push(receive(socket));
    sent.push(sendRandom(socket, bytes, sent.length + 1));
  });
  await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
  const clients = await Promise.all(Array.from({ length: channels }, () => dial(relay.port)));
  const down = clients.map((client) => receive(client));
  const up = await Promise.all(clients.map((client, index) => sendRandom(client, bytes, 50 + index)));
  const atClients = (await Promise.all(down)).map(({ digest }) => digest);
  await until(() => relay.ends.length === channels, "the relays ended");
  const atTarget = (await Promise.all(received)).map(({ digest }) => digest);
  expect(atClients.sort()).toEqual((await Promise.all(sent)).sort());
  expect(atTarget.sort()).toEqual(up.sort());
  connection.client.off("handshake", count);
  return exchanges;
}

describe("a key exchange under load both ways", { timeout: 90_000 }, () => {
  let often: Sshd;
  let never: Sshd;
  beforeAll(async () => {
    [often, never] = await Promise.all([startSshd({ config: ["RekeyLimit 1M"] }), startSshd()]);
  });
  afterAll(async () => {
    await often?.[Symbol.asyncDispose]();
    await never?.[Symbol.asyncDispose]();
  });

  it.each([
    ["aes128-gcm@openssh.com", 1],
    ["aes256-gcm@openssh.com", 4],
    ["chacha20-poly1305@openssh.com", 4],
    ["aes128-ctr", 4],
  ])("started by sshd every megabyte loses nothing with %s on %i channels", async (cipher, channels) => {
    await using connection = await connectTo(often, { cipher });
    const exchanges = await exchangesDuring(connection, channels, (16 / channels) * mebibyte);
    expect(exchanges).toBeGreaterThan(5);
    expect(connection.errors).toEqual([]);
  });

  it("started by us after so many bytes loses nothing", async () => {
    await using connection = await connectTo(never, { rekeyBytes: 4 * mebibyte });
    expect(await exchangesDuring(connection, 3, 16 * mebibyte)).toBeGreaterThan(5);
    expect(connection.errors).toEqual([]);
  });

  it("started by both sides at once loses nothing", async () => {
    await using connection = await connectTo(often, { rekeyBytes: mebibyte });
    expect(await exchangesDuring(connection, 2, 12 * mebibyte)).toBeGreaterThan(5);
    expect(connection.errors).toEqual([]);
  });

  it("leaves channels openable and closable all the time", async () => {
    await using connection = await connectTo(never);
    const timer = setInterval(() => connection.path.rekey(), 5);
    await using target = await listen((socket) => void socket.pipe(socket));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    for (let count = 0; count < 30; count += 1) {
      const client = await dial(relay.port);
      client.end("ping");
      expect((await receive(client)).bytes).toBe(4);
    }
    clearInterval(timer);
    await until(() => connection.path.channelCount === 0, "all channels let go");
    expect(connection.errors).toEqual([]);
  });
});

describe("a key exchange with a server that is not sshd", { timeout: 60_000 }, () => {
  it("works when ssh2's server starts it", async () => {
    let start: (() => void) | undefined;
    await using server = await startScriptedServer((protocol, { sender }) => {
      start = () => protocol.rekey();
      protocol.channelOpenConfirm(sender, 0, 2 ** 21, 32_768);
    });
    await using connection = await connectTo(server);
    await connection.path.open({ host: "any", port: 1 });
    const exchanged = new Promise((resolve) => connection.client.once("handshake", resolve));
    start?.();
    expect(await exchanged).toBeDefined();
    await connection.path.open({ host: "any", port: 1 });
    expect(connection.errors).toEqual([]);
  });

  it("gets no payload within it, which ssh2's server would not forgive", async () => {
    let rekey: (() => void) | undefined;
    let received = 0;
    await using server = await startScriptedServer((protocol, { sender }) => {
      protocol._handlers["CHANNEL_DATA"] = (_, __: number, data: Buffer) => {
        received += data.length;
        protocol.channelWindowAdjust(sender, data.length);
      };
      rekey = () => protocol.rekey();
      protocol.channelOpenConfirm(sender, 0, 2 ** 21, 32_768);
    });
    await using connection = await connectTo(server);
    let exchanges = 0;
    connection.client.on("handshake", () => {
      exchanges += 1;
    });
    await using relay = await relayTo(connection.path, { host: "any", port: 1 });
    const client = await dial(relay.port);
    const sent = sendRandom(client, 16 * mebibyte, 1);
    for (let wanted = 1; wanted <= 5; wanted += 1) {
      await until(() => received >= wanted * 2 * mebibyte, "more data");
      // Asked again: the server passes over it while the last exchange is not over for it.
      await until(() => {
        if (exchanges < wanted) rekey?.();
        return exchanges >= wanted;
      }, "the exchange");
    }
    await sent;
    await until(() => received === 16 * mebibyte, "all data");
    expect(relay.bytes().in).toBe(16 * mebibyte);
    expect(connection.errors).toEqual([]);
  });
});
