import "./data-path/testing/without-addon.ts";
import { text } from "node:stream/consumers";
import { CodedError } from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DataPath } from "./data-path/index.ts";
import { relayTo } from "./data-path/testing/relay.ts";
import { receive, sendRandom } from "./data-path/testing/stream-digest.ts";
import { closeOf, dial, until } from "./data-path/testing/tcp.ts";
import { Hop } from "./hop.ts";
import { hopOptionsFor } from "./testing/hop-options-for.ts";
import { type Sshd, startSshd } from "./testing/sshd.ts";
import { tcpServer } from "./testing/tcp-server.ts";

const mebibyte = 1024 * 1024;
let sshd: Sshd;

beforeAll(async () => {
  // A key exchange every few megabytes, so that Hop's host key check takes part.
  sshd = await startSshd({ config: ["RekeyLimit 4M"] });
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

async function connected(dialThrough?: Hop): Promise<Hop> {
  const dial = dialThrough && ((signal: AbortSignal) => dialThrough.dial("127.0.0.1", sshd.port, { signal }));
  return Hop.connect(await hopOptionsFor(sshd, { dataPath: true, requireSignature: true, dial }));
}

function pathOf(hop: Hop): DataPath {
  if (hop.dataPath === undefined) throw new Error(`no data path: ${hop.noDataPath}`);
  return hop.dataPath;
}

async function expectEcho(path: DataPath, bytes: number): Promise<void> {
  await using target = await tcpServer((socket) => void socket.pipe(socket));
  await using relay = await relayTo(path, { host: "127.0.0.1", port: target.port });
  const client = await dial(relay.port);
  const echoed = receive(client);
  expect(await sendRandom(client, bytes, 1)).toBe((await echoed).digest);
  await until(() => relay.ends.length === 1, "the relay ended");
  expect(relay.ends).toEqual([{ reason: "end" }]);
}

describe("a hop with a data path", () => {
  test("has none unless it was asked for", async () => {
    await using hop = await Hop.connect(await hopOptionsFor(sshd));
    expect(hop.dataPath).toBeUndefined();
    expect(hop.noDataPath).toBeUndefined();
  });

  test("relays, dials and runs commands on one connection", async () => {
    await using hop = await connected();
    await using target = await tcpServer((socket) => void socket.end("hello"));
    const command = await hop.exec("cat");
    const stream = await hop.dial("127.0.0.1", target.port);
    await expectEcho(pathOf(hop), 12 * mebibyte);
    command.end("still here");
    expect(await text(command)).toBe("still here");
    expect(await text(stream)).toBe("hello");
  });

  test("reached through another hop relays too", async () => {
    await using first = await connected();
    await using second = await connected(first);
    await expectEcho(pathOf(second), 12 * mebibyte);
    await expectEcho(pathOf(first), mebibyte);
  });

  test("resets the clients of its relays when it is closed", async () => {
    const hop = await connected();
    let received = 0;
    await using target = await tcpServer((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
    });
    await using relay = await relayTo(pathOf(hop), { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    client.write("x");
    await until(() => received === 1, "the relay works");
    const reset = closeOf(client.resume());
    await hop.close();
    await reset;
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toMatchObject([{ reason: "error", error: { code: "hop.lost" } }]);
    await expect(pathOf(hop).open({ host: "127.0.0.1", port: 1 })).rejects.toMatchObject({
      code: "hop.lost",
    });
    expect(await hop.closed).toBeUndefined();
  });

  test("gives its relays the reason that it was aborted for", async () => {
    const hop = await connected();
    let received = 0;
    await using target = await tcpServer((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
    });
    await using relay = await relayTo(pathOf(hop), { host: "127.0.0.1", port: target.port });
    const client = await dial(relay.port);
    const reset = closeOf(client.resume());
    client.write("x");
    await until(() => received === 1, "the relay works");
    hop.abort(new CodedError("lease.expired", "the lease is over"));
    await reset;
    await until(() => relay.ends.length === 1, "the relay ended");
    expect(relay.ends).toMatchObject([{ reason: "error", error: { code: "lease.expired" } }]);
    expect(await hop.closed).toMatchObject({ code: "lease.expired" });
  });
});
