import "./testing/without-addon.ts";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Sshd, startSshd } from "../testing/index.ts";
import { type Connection, connectTo } from "./testing/connection.ts";
import { descendantsOf } from "./testing/process-tree.ts";
import { relayTo } from "./testing/relay.ts";
import { receive, sendRandom } from "./testing/stream-digest.ts";
import { dial, listen, until } from "./testing/tcp.ts";

const mebibyte = 1024 * 1024;

describe("a data path to a real sshd", { timeout: 120_000 }, () => {
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

  it.each([1, 8])("carries 64 MiB each way unaltered over %i channels at once", async (channels) => {
    const perChannel = (64 / channels) * mebibyte;
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
    expect(relay.bytes()).toEqual({ in: 64 * mebibyte, out: 64 * mebibyte });
    await until(() => connection.path.channelCount === 0, "all channels let go");
  });

  it("reaches a unix socket on the host", async () => {
    await using target = await listen((socket) => void socket.pipe(socket), {
      path: sshd.folder.file("target.sock"),
    });
    expect(target.port).toBe(0);
    await using relay = await relayTo(connection.path, { socketPath: sshd.folder.file("target.sock") });
    const client = await dial(relay.port);
    client.end("over a unix socket");
    expect((await receive(client)).bytes).toBe(18);
  });

  it("relays clients of a unix socket", async () => {
    await using target = await listen((socket) => void socket.pipe(socket));
    const path = sshd.folder.file("listener.sock");
    const ended: unknown[] = [];
    await using listener = await listen(
      (socket) =>
        void connection.path
          .open({ host: "127.0.0.1", port: target.port })
          .then((channel) => channel.join(socket).closed)
          .then((end) => ended.push(end)),
      { path, pauseOnConnect: true },
    );
    expect(listener.port).toBe(0);
    const client = connect({ path, allowHalfOpen: true });
    client.end("from a unix socket");
    expect((await receive(client)).bytes).toBe(18);
    await until(() => ended.length === 1, "the relay ended");
    expect(ended).toEqual([{ reason: "end" }]);
  });

  it("lets the client finish first: the target still answers", async () => {
    await using target = await listen((socket) => {
      socket.resume();
      socket.on("end", () => void sendRandom(socket, mebibyte, 7));
    });
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    client.end("question");
    expect((await receive(client)).bytes).toBe(mebibyte);
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toEqual([{ reason: "end" }]);
  });

  it("lets the target finish first: the client still sends", async () => {
    let arrived: Promise<{ bytes: number }> | undefined;
    await using target = await listen((socket) => {
      socket.end("greeting");
      arrived = receive(socket);
    });
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    expect((await receive(client)).bytes).toBe(8);
    await sendRandom(client, mebibyte, 8);
    expect((await arrived)?.bytes).toBe(mebibyte);
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toEqual([{ reason: "end" }]);
  });

  it("closes the channel when the client resets, and the target sees the end", async () => {
    let targetEnded: Promise<unknown> | undefined;
    await using target = await listen((socket) => {
      targetEnded = once(socket.resume(), "end");
    });
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    client.write("half a");
    await until(() => targetEnded !== undefined, "the target was dialled");
    client.resetAndDestroy();
    await targetEnded;
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toEqual([{ reason: "reset", by: "client" }]);
  });

  it("ends the client's connection when the target resets", async () => {
    await using target = await listen((socket) => socket.once("data", () => socket.resetAndDestroy()));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    client.write("anything");
    client.resume();
    await Promise.race([once(client, "end"), once(client, "close")]);
    client.destroy();
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toHaveLength(1);
  });

  it("resets the client when the relay is closed by us", async () => {
    await using target = await listen((socket) => void socket.resume());
    await using listener = await listen(() => {}, { pauseOnConnect: true });
    const accepted = once(listener.server, "connection");
    const client = await dial(listener.port);
    const [socket] = await accepted;
    const channel = await connection.path.open({ host: "127.0.0.1", port: target.port });
    const ended = channel.join(socket).closed;
    const reset = once(client, "error");
    channel.destroy();
    channel.destroy();
    expect(await ended).toEqual({ reason: "closed" });
    expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
    await until(() => connection.path.channelCount === 0, "the channel was let go");
  });

  it("delivers what the target sent before the channel was joined", async () => {
    await using target = await listen((socket) => socket.end("early"));
    await using listener = await listen(() => {}, { pauseOnConnect: true });
    const accepted = once(listener.server, "connection");
    const client = await dial(listener.port);
    const channel = await connection.path.open({ host: "127.0.0.1", port: target.port });
    await connectionIsQuiet(connection);
    const [socket] = await accepted;
    const ended = channel.join(socket).closed;
    client.end();
    expect((await receive(client)).bytes).toBe(5);
    expect(await ended).toEqual({ reason: "end" });
  });

  it("says that nobody listens at the target", async () => {
    const gone = await listen(() => {});
    await gone[Symbol.asyncDispose]();
    await expect(connection.path.open({ host: "127.0.0.1", port: gone.port })).rejects.toMatchObject({
      code: "target.unreachable",
      leg: "target",
    });
    expect(connection.path.channelCount).toBe(0);
  });

  it("gives up a channel whose client is gone before it opened", async () => {
    await using target = await listen((socket) => void socket.resume());
    const clientGone = new AbortController();
    const opening = connection.path.open(
      { host: "127.0.0.1", port: target.port },
      { signal: clientGone.signal },
    );
    clientGone.abort(new Error("the client left"));
    await expect(opening).rejects.toThrow("the client left");
    await until(() => connection.path.channelCount === 0, "the channel was let go");
  });

  it("opens and closes 1 000 relays without a trace", async () => {
    await using target = await listen((socket) => void socket.pipe(socket));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    let left = 1000;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        const client = await dial(relay.port);
        client.end("ping");
        expect((await receive(client)).bytes).toBe(4);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    await until(() => relay.ends.length === 1000, "all relays ended");
    expect(relay.ends.filter(({ reason }) => reason !== "end")).toEqual([]);
    await until(() => connection.path.channelCount === 0, "all channels let go");
    await until(() => connection.path.queuedBytes === 0, "everything sent");
  });

  it("leaves ssh2's own channels working", async () => {
    await using target = await listen((socket) => void socket.pipe(socket));
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    const command = new Promise<number>((resolve, reject) =>
      connection.client.exec("head -c 3000000 /dev/zero; cat", (error, channel) => {
        if (error) return reject(error);
        let bytes = 0;
        channel.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        channel.on("close", () => resolve(bytes));
        channel.end(Buffer.alloc(1_000_000));
      }),
    );
    const echoed = receive(client);
    await sendRandom(client, 8 * mebibyte, 3);
    expect((await echoed).bytes).toBe(8 * mebibyte);
    expect(await command).toBe(4_000_000);
  });
});

/** Waits until the server answered something that was asked now: what it sent before is here. */
function connectionIsQuiet({ client }: Connection): Promise<void> {
  return new Promise((resolve, reject) =>
    client.exec("true", (error, channel) => {
      if (error) return reject(error);
      channel.resume().on("close", () => resolve());
    }),
  );
}

describe("a data path when the server is no help", () => {
  it("says that the host forbids the forwarding", async () => {
    await using sshd = await startSshd({ config: ["AllowTcpForwarding no"] });
    await using connection = await connectTo(sshd);
    await expect(connection.path.open({ host: "127.0.0.1", port: 9 })).rejects.toMatchObject({
      code: "target.forbidden",
      leg: "target",
    });
  });

  it("resets every client when the connection is cut in the midst of transfers", async () => {
    await using sshd = await startSshd();
    await using connection = await connectTo(sshd);
    await using target = await listen(
      (socket) => void sendRandom(socket, 1024 * mebibyte, 1).catch(() => {}),
    );
    await using relay = await relayTo(connection.path, { host: "127.0.0.1", port: target.port });
    const clients = await Promise.all(Array.from({ length: 4 }, () => dial(relay.port)));
    const broken = clients.map((client) => receive(client).catch((error: unknown) => error));
    await until(() => relay.bytes().out > 8 * mebibyte, "the transfers run");
    const sessions = await descendantsOf(sshd.pid);
    for (const pid of sessions) process.kill(pid, "SIGKILL");
    expect((await Promise.all(broken)).every((result) => result instanceof Error)).toBe(true);
    await until(() => relay.ends.length === 4, "the relays ended");
    expect(relay.ends).toMatchObject(
      Array.from({ length: 4 }, () => ({ reason: "error", error: { code: "hop.lost" } })),
    );
    await expect(connection.path.open({ host: "127.0.0.1", port: 9 })).rejects.toMatchObject({
      code: "hop.lost",
    });
    expect(await connection.path.closed).toBeUndefined();
  });
});
