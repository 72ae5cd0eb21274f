import { CodedError } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { delegateTo } from "../testing/delegate.ts";
import { type HopFixture, hopFixture, hopSession, serverOf } from "../testing/hop-fixture.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { withoutDataPath } from "../testing/without-data-path.ts";
import { sshTarget } from "./ssh-target.ts";
import type { Target } from "./target.ts";

const never = new AbortController().signal;
let hops: HopFixture;
beforeAll(async () => {
  hops = await hopFixture();
});
afterAll(() => hops[Symbol.asyncDispose]());

/** What a client gets that says `question` through the connection that `target` makes. */
async function exchange(target: Target, question: string | Buffer): Promise<Buffer> {
  await using front = await serveTcp((socket) => socket.pause());
  const client = await connect({ host: "127.0.0.1", port: front.port });
  const accepted = await front.first;
  const relay = (await target.dial(never)).join(accepted);
  client.end(question);
  const answer = await readAll(client);
  expect(await relay.closed).toEqual({ reason: "end" });
  return answer;
}

describe("a target behind hops", () => {
  test("is reached through one hop with one delegated signature, however many relays", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using delegate = await delegateTo(hops.key.path);
    const { pool, events, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "localhost", port: service.port }, hops.hopTo());
    await behind.connect(never);
    expect(events).toEqual(["connected 1"]);
    const big = Buffer.alloc(5_000_000, "0123456789");
    const answers = await Promise.all([
      exchange(behind, "one"),
      exchange(behind, "two"),
      exchange(behind, big),
    ]);
    expect(answers.slice(0, 2).map(String)).toEqual(["one", "two"]);
    expect(answers[2]?.equals(big)).toBe(true);
    expect(delegate.asked).toHaveLength(1);
    expect(delegate.asked[0]).toMatchObject({ hopId: "1" });
    expect(
      Buffer.from(delegate.asked[0]?.hostKey ?? []).equals(serverOf(hops.sshd).hostKeys[0] as Buffer),
    ).toBe(true);
  });

  test("is reached the slow way too, which the log explains", async () => {
    withoutDataPath();
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using delegate = await delegateTo(hops.key.path);
    const { pool, events, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "localhost", port: service.port }, hops.hopTo());
    expect((await exchange(behind, "slowly")).toString()).toBe("slowly");
    const fields = { hop: `${hops.sshd.user}@127.0.0.1 port ${hops.sshd.port}`, why: "ssh2 is another one" };
    expect(events).toEqual([
      `relays over this hop take the slow way: ${JSON.stringify(fields)}`,
      "connected 1",
    ]);
  });

  test("that does not answer in time is unreachable, and a hint says why that may be", async () => {
    const late = new CodedError("timeout", "dialling it: no answer within 30 s", { leg: "target" });
    const hop = { name: "signer@target", dataPath: { open: () => Promise.reject(late) } } as unknown as Hop;
    const release = vi.fn();
    const place = { hop, isFurther: false, opened() {}, release };
    const take = async () => place;
    const route = {
      lastHop: async () => hop,
      take,
      takeFirst: take,
      close: async () => {},
      watch: () => {},
    };
    const behind = sshTarget({ kind: "tcp", host: "db", port: 5432 }, route);
    await expect(behind.dial(never)).rejects.toMatchObject({
      code: "target.unreachable",
      leg: "target",
      message: "dialling db:5432 from signer@target: no answer within 30 s",
      hint: expect.stringContaining("firewall"),
    });
    expect(release).toHaveBeenCalledOnce();
  });

  test("is reached through two hops, with a signature for each", async () => {
    await using service = await serveTcp((socket) => socket.end("far away"));
    await using second = await startSshd({ authorizedKeys: [hops.key.line] });
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const route = [hops.hopTo(), hops.hopTo(serverOf(second), "2")];
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, ...route);
    expect((await exchange(behind, "")).toString()).toBe("far away");
    expect(delegate.asked.map(({ hopId }) => hopId)).toEqual(["1", "2"]);
  });

  test("may be a unix socket there", async () => {
    const path = hops.folder.file("service.sock");
    await using _service = await serveTcp((socket) => socket.end("by path"), { path });
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    expect((await exchange(target({ kind: "unix", path }, hops.hopTo()), "")).toString()).toBe("by path");
  });

  test("that nobody serves fails with the leg of the target", async () => {
    const { port } = await (async () => {
      await using service = await serveTcp();
      return service;
    })();
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port }, hops.hopTo());
    await expect(behind.dial(never)).rejects.toMatchObject({ code: "target.unreachable", leg: "target" });
  });

  test("behind a hop that forbids forwarding is forbidden", async () => {
    await using strict = await startSshd({
      authorizedKeys: [hops.key.line],
      config: ["AllowTcpForwarding no"],
    });
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: 9 }, hops.hopTo(serverOf(strict)));
    await expect(behind.dial(never)).rejects.toMatchObject({ code: "target.forbidden", leg: "target" });
    const further = target(
      { kind: "tcp", host: "127.0.0.1", port: 9 },
      hops.hopTo(serverOf(strict)),
      hops.hopTo(undefined, "2"),
    );
    await expect(further.dial(never)).rejects.toMatchObject({ code: "target.forbidden", leg: "hop" });
  });

  test("comes back by itself after the hop was lost, with one more signature", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using delegate = await delegateTo(hops.key.path);
    const { pool, events, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, hops.hopTo());
    await using front = await serveTcp((socket) => socket.pause());
    const client = await connect({ host: "127.0.0.1", port: front.port });
    const accepted = await front.first;
    const relay = (await behind.dial(never)).join(accepted);
    const lease = pool.lease([hops.hopTo()]);
    (await lease.lastHop(never)).abort(new CodedError("hop.lost", "cut for the test", { leg: "hop" }));
    await expect(readAll(client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await relay.closed).toMatchObject({ reason: "error", error: { code: "hop.lost", leg: "hop" } });
    // It may be there again already.
    expect(events.slice(0, 2)).toEqual(["connected 1", "lost 1 hop.lost"]);
    expect((await exchange(behind, "again")).toString()).toBe("again");
    expect(delegate.asked).toHaveLength(2);
  });
});
