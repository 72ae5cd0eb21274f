import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { delegateTo } from "../testing/delegate.ts";
import { type HopFixture, hopFixture, hopSession } from "../testing/hop-fixture.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { withoutDataPath } from "../testing/without-data-path.ts";

const never = new AbortController().signal;
let hops: HopFixture;
beforeAll(async () => {
  hops = await hopFixture();
});
afterAll(() => hops[Symbol.asyncDispose]());

describe.each(["data path", "slow way"])("an upload to a slow service (%s)", (way) => {
  test("is over when the host has handed all of it on: then the hop may go", async () => {
    if (way === "slow way") withoutDataPath();
    let received = 0;
    await using service = await serveTcp((socket) => socket.end("bye"));
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, hops.hopTo());
    await using front = await serveTcp((socket) => socket.pause());
    const client = await connect({ host: "127.0.0.1", port: front.port });
    const relay = (await behind.dial(never)).join(await front.first);
    const readSlowly = async () => {
      for await (const chunk of await service.first) {
        received += chunk.length;
        await setTimeout(2);
      }
    };
    const reading = readSlowly();
    const sent = 16 * 1024 * 1024;
    client.end(Buffer.alloc(sent));
    expect((await readAll(client)).toString()).toBe("bye");
    expect(await relay.closed).toEqual({ reason: "end" });
    await pool.close();
    await reading;
    expect([relay.bytes, received]).toEqual([{ in: sent, out: 3 }, sent]);
  });
});
