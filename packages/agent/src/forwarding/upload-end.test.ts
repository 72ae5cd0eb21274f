import { once } from "node:events";
import type net from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Delegate, delegateTo } from "../testing/delegate.ts";
import { type HopFixture, hopFixture, hopSession } from "../testing/hop-fixture.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { withoutDataPath } from "../testing/without-data-path.ts";
import type { Target } from "./target.ts";
import { tcpTarget } from "./tcp-target.ts";

const never = new AbortController().signal;
/** More than the service has read when the client is done. */
const BYTES = 6 * 1024 * 1024;
let hops: HopFixture;
let delegate: Delegate;
beforeAll(async () => {
  hops = await hopFixture();
  delegate = await delegateTo(hops.key.path);
});
afterAll(async () => {
  await delegate[Symbol.asyncDispose]();
  await hops[Symbol.asyncDispose]();
});

/** What a slow service reads, to the end; rejects where that is none. */
async function readSlowly(socket: net.Socket): Promise<number> {
  let received = 0;
  for await (const chunk of socket) {
    received += chunk.length;
    await setTimeout(2);
  }
  return received;
}

describe.each(["TCP target", "data path", "slow way"])(
  "the end of an upload to a slow service (%s)",
  (way) => {
    /** A client joined to a service that only sends what it is told to. */
    async function joined() {
      if (way === "slow way") withoutDataPath();
      const service = await serveTcp((socket) => socket.pause());
      const front = await serveTcp((socket) => socket.pause());
      const { pool, target: behind } = hopSession(delegate);
      const target: Target =
        way === "TCP target"
          ? tcpTarget("127.0.0.1", service.port)
          : behind({ kind: "tcp", host: "127.0.0.1", port: service.port }, hops.hopTo());
      const client = await connect({ host: "127.0.0.1", port: front.port });
      const relay = (await target.dial(never)).join(await front.first);
      return {
        ...{ client, relay, pool, served: await service.first },
        async [Symbol.asyncDispose]() {
          await pool.close();
          await Promise.all([front[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
        },
      };
    }

    test("arrives though the service was done first: when the relay is over, the hop may go", async () => {
      await using pair = await joined();
      const reading = readSlowly(pair.served);
      pair.served.end("bye");
      pair.client.end(Buffer.alloc(BYTES));
      expect((await readAll(pair.client)).toString()).toBe("bye");
      expect(await pair.relay.closed).toEqual({ reason: "end" });
      await pair.pool.close();
      expect([await reading, pair.relay.bytes]).toEqual([BYTES, { in: BYTES, out: 3 }]);
    });

    test("arrives though the client is gone at once, and the relay is waited for to go, too", async () => {
      await using pair = await joined();
      const reading = readSlowly(pair.served);
      // As a client that exits when its last write is done.
      pair.client.write(Buffer.alloc(BYTES), () => pair.client.destroy());
      await once(pair.client, "close");
      // What a stop does with its grace.
      const over = pair.relay.closed.then(() => pair.pool.close());
      expect(await reading).toBe(BYTES);
      pair.served.end();
      await over;
      expect(pair.relay.bytes.in).toBe(BYTES);
    });
  },
);
