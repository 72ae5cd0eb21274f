import "./testing/without-addon.ts";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Sshd, startSshd } from "../testing/index.ts";
import { type Connection, connectTo } from "./testing/connection.ts";
import { relayTo } from "./testing/relay.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen, until } from "./testing/tcp.ts";

const mebibyte = 1024 * 1024;

describe("a data path to a real sshd", () => {
  let sshd: Sshd;
  let connection: Connection;
  beforeAll(async () => {
    sshd = await startSshd();
    connection = await connectTo(sshd);
  });
  afterAll(async () => {
    await connection?.[Symbol.asyncDispose]();
    await sshd?.[Symbol.asyncDispose]();
  });

  it.each([1, 8])("carries 256 MiB each way unaltered over %i channels at once", async (channels) => {
    const perChannel = (256 / channels) * mebibyte;
    const sent: Promise<string>[] = [];
    const received: Promise<{ digest: string }>[] = [];
    await using target = await listen((socket) => {
      received.push(receive(socket));
      sent.push(sendRandom(socket, perChannel, sent.length + 1));
    });
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const clients = await Promise.all(Array.from({ length: channels }, () => dial(relay.port)));
    const atClients = clients.map((client) => receive(client));
    const fromClients = clients.map((client, index) => sendRandom(client, perChannel, 100 + index));
    const up = await Promise.all(fromClients);
    const down = (await Promise.all(atClients)).map(({ digest }) => digest);
    await until(() => relay.ends.length === channels, "all relays ended");
    const arrived = (await Promise.all(received)).map(({ digest }) => digest);
    expect(arrived.sort()).toEqual(up.sort());
    expect(down.sort()).toEqual((await Promise.all(sent)).sort());
    expect(relay.ends).toEqual(Array.from({ length: channels }, () => ({ reason: "end" })));
    expect(relay.counters).toEqual({ bytesIn: 256 * mebibyte, bytesOut: 256 * mebibyte });
    await until(() => connection.path.channelCount === 0, "all channels let go");
  });
});
