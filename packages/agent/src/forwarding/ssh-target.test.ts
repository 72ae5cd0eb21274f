import { setTimeout } from "node:timers/promises";
import { CodedError, type HopDeclaration, type OpenForwardParams } from "@farside/protocol";
import { Hop } from "@farside/ssh";
import {
  type KeyPair,
  makeKeyPair,
  type Sshd,
  startSshd,
  type TemporaryFolder,
  temporaryFolder,
} from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Delegate, delegateTo } from "../testing/delegate.ts";
import { fakeSshServer } from "../testing/fake-ssh-server.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { connectHopThrough } from "./connect-hop.ts";
import { RoutePool } from "./route-pool.ts";
import { sshTarget } from "./ssh-target.ts";
import type { Target } from "./target.ts";
import { tellSlowWay } from "./tell-slow-way.ts";

const never = new AbortController().signal;
let folder: TemporaryFolder;
let key: KeyPair;
let sshd: Sshd;

beforeAll(async () => {
  folder = await temporaryFolder();
  key = await makeKeyPair(folder.file("identity"));
  sshd = await startSshd({ authorizedKeys: [key.line] });
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function hopTo(server: { port: number; hostKeys: readonly Uint8Array[] }, hopId = "1"): HopDeclaration {
  return {
    hopId,
    user: sshd.user,
    host: "127.0.0.1",
    port: server.port,
    hostKeys: [...server.hostKeys],
    publicKeys: [key.publicKey.blob],
  };
}

const blobsOf = (server: Sshd) => ({
  port: server.port,
  hostKeys: server.hostKeys.map(({ publicKey }) => publicKey.blob),
});

function session(delegate: Delegate) {
  const events: string[] = [];
  const log = {
    warn: (message: string, fields?: object) => void events.push(`${message}: ${JSON.stringify(fields)}`),
  };
  const pool = new RoutePool({
    connect: tellSlowWay(connectHopThrough(delegate.peer), log),
    onConnected: ({ hopId }) => events.push(`connected ${hopId}`),
    onLost: ({ hopId }, { code }) => events.push(`lost ${hopId} ${code}`),
  });
  const target = (address: OpenForwardParams["target"], ...route: HopDeclaration[]) =>
    sshTarget(address, pool.lease(route));
  return { pool, events, target };
}

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
    await using delegate = await delegateTo(key.path);
    const { pool, events, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "localhost", port: service.port }, hopTo(blobsOf(sshd)));
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
    expect(Buffer.from(delegate.asked[0]?.hostKey ?? []).equals(blobsOf(sshd).hostKeys[0] as Buffer)).toBe(
      true,
    );
  });

  test("is reached the slow way too, which the log explains", async () => {
    vi.spyOn(Hop.prototype, "dataPath", "get").mockReturnValue(undefined);
    vi.spyOn(Hop.prototype, "noDataPath", "get").mockReturnValue("ssh2 is another one");
    onTestFinished(() => void vi.restoreAllMocks());
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using delegate = await delegateTo(key.path);
    const { pool, events, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "localhost", port: service.port }, hopTo(blobsOf(sshd)));
    expect((await exchange(behind, "slowly")).toString()).toBe("slowly");
    const fields = { hop: `${sshd.user}@127.0.0.1 port ${sshd.port}`, why: "ssh2 is another one" };
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
    await using second = await startSshd({ authorizedKeys: [key.line] });
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const route = [hopTo(blobsOf(sshd), "1"), hopTo(blobsOf(second), "2")];
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, ...route);
    expect((await exchange(behind, "")).toString()).toBe("far away");
    expect(delegate.asked.map(({ hopId }) => hopId)).toEqual(["1", "2"]);
  });

  test("may be a unix socket there", async () => {
    const path = folder.file("service.sock");
    await using _service = await serveTcp((socket) => socket.end("by path"), { path });
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    expect((await exchange(target({ kind: "unix", path }, hopTo(blobsOf(sshd))), "")).toString()).toBe(
      "by path",
    );
  });

  test("that nobody serves fails with the leg of the target", async () => {
    const { port } = await (async () => {
      await using service = await serveTcp();
      return service;
    })();
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port }, hopTo(blobsOf(sshd)));
    await expect(behind.dial(never)).rejects.toMatchObject({ code: "target.unreachable", leg: "target" });
  });

  test("behind a hop that forbids forwarding is forbidden", async () => {
    await using strict = await startSshd({ authorizedKeys: [key.line], config: ["AllowTcpForwarding no"] });
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: 9 }, hopTo(blobsOf(strict)));
    await expect(behind.dial(never)).rejects.toMatchObject({ code: "target.forbidden", leg: "target" });
    const further = target(
      { kind: "tcp", host: "127.0.0.1", port: 9 },
      hopTo(blobsOf(strict)),
      hopTo(blobsOf(sshd), "2"),
    );
    await expect(further.dial(never)).rejects.toMatchObject({ code: "target.forbidden", leg: "hop" });
  });

  test("comes back by itself after the hop was lost, with one more signature", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using delegate = await delegateTo(key.path);
    const { pool, events, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, hopTo(blobsOf(sshd)));
    await using front = await serveTcp((socket) => socket.pause());
    const client = await connect({ host: "127.0.0.1", port: front.port });
    const accepted = await front.first;
    const relay = (await behind.dial(never)).join(accepted);
    const lease = pool.lease([hopTo(blobsOf(sshd))]);
    (await lease.lastHop(never)).abort(new CodedError("hop.lost", "cut for the test", { leg: "hop" }));
    await expect(readAll(client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await relay.closed).toMatchObject({ reason: "error", error: { code: "hop.lost", leg: "hop" } });
    expect(events).toEqual(["connected 1", "lost 1 hop.lost"]);
    expect((await exchange(behind, "again")).toString()).toBe("again");
    expect(delegate.asked).toHaveLength(2);
  });
});

describe.each(["data path", "slow way"])("an upload to a slow service (%s)", (way) => {
  test("is over when the host has handed all of it on: then the hop may go", async () => {
    if (way === "slow way") {
      vi.spyOn(Hop.prototype, "dataPath", "get").mockReturnValue(undefined);
      onTestFinished(() => void vi.restoreAllMocks());
    }
    let received = 0;
    await using service = await serveTcp((socket) => socket.end("bye"));
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: service.port }, hopTo(blobsOf(sshd)));
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

describe("a hop whose signatures have to be waited for", () => {
  const connectionsTo = async () => (await sshd.log()).split("Connection from ").length - 1;
  const removed = new CodedError("card.removed", "it is out", { leg: "card" });

  test("is not dialled again before the identity is ready: a login that waits is charged", async () => {
    await using delegate = await delegateTo(key.path);
    const { pool } = session(delegate);
    await using _pool = pool;
    const route = pool.lease([hopTo(blobsOf(sshd))]);
    const first = await route.lastHop(never);
    expect(delegate.readied).toEqual([]);
    let insert = (): void => {};
    delegate.ready = () => new Promise((resolve) => (insert = resolve));
    first.abort(new CodedError("hop.lost", "cut for the test", { leg: "hop" }));
    const before = await connectionsTo();
    const again = route.lastHop(never);
    await expect.poll(() => delegate.readied).toEqual(["1"]);
    expect(await connectionsTo()).toBe(before);
    insert();
    await again;
    expect(await connectionsTo()).toBe(before + 1);
  });

  test("is left where the card turns out to be gone, and dialled once more when it is back", async () => {
    await using delegate = await delegateTo(key.path);
    delegate.refusal = removed;
    delegate.ready = async () => {
      delegate.refusal = undefined;
    };
    const { pool } = session(delegate);
    await using _pool = pool;
    await pool.lease([hopTo(blobsOf(sshd))]).lastHop(never);
    expect(delegate.readied).toEqual(["1"]);
    expect(delegate.asked).toHaveLength(2);
  });

  test("fails with what the workstation says of the card, where that does not wait", async () => {
    await using delegate = await delegateTo(key.path);
    delegate.refusal = removed;
    delegate.ready = () => Promise.reject(removed);
    const { pool } = session(delegate);
    await using _pool = pool;
    const before = await connectionsTo();
    const connecting = pool.lease([hopTo(blobsOf(sshd))]).lastHop(never);
    await expect(connecting).rejects.toMatchObject({ code: "card.removed", leg: "card" });
    expect(await connectionsTo()).toBe(before + 1);
  });
});

describe("a hop that is not the declared host", () => {
  test("is refused when it lets us in without a signature, and no byte reaches it", async () => {
    await using fake = await fakeSshServer();
    await using delegate = await delegateTo(key.path);
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const behind = target(
      { kind: "tcp", host: "127.0.0.1", port: 9 },
      hopTo({ port: fake.port, hostKeys: [fake.hostKey] }),
    );
    await expect(behind.connect(never)).rejects.toMatchObject({ code: "hop.no-signature", leg: "hop" });
    await expect(behind.dial(never)).rejects.toMatchObject({ code: "hop.no-signature" });
    expect(delegate.asked).toHaveLength(0);
    expect([fake.dials, fake.received]).toEqual([0, 0]);
  });

  test.each(["real sshd", "fake server"])(
    "is refused when it shows another host key (%s), and nothing is signed",
    async (which) => {
      await using fake = await fakeSshServer();
      await using delegate = await delegateTo(key.path);
      const { pool, target } = session(delegate);
      await using _pool = pool;
      const port = which === "real sshd" ? sshd.port : fake.port;
      const declared = which === "real sshd" ? [fake.hostKey] : blobsOf(sshd).hostKeys;
      const behind = target({ kind: "tcp", host: "127.0.0.1", port: 9 }, hopTo({ port, hostKeys: declared }));
      const failure = behind.connect(never);
      await expect(failure).rejects.toMatchObject({ leg: "hop" });
      await expect(failure).rejects.toMatchObject({
        code: expect.stringMatching(/^(host-key\.changed|hop\.handshake-failed)$/),
      });
      expect(delegate.asked).toHaveLength(0);
      expect(fake.dials).toBe(0);
    },
  );

  test("is not logged in to when the workstation refuses the signature", async () => {
    await using delegate = await delegateTo(key.path);
    delegate.refusal = new CodedError("sign.refused", "not a declared hop", { leg: "hop" });
    const { pool, target } = session(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: 9 }, hopTo(blobsOf(sshd)));
    await expect(behind.connect(never)).rejects.toMatchObject({ code: "sign.refused", leg: "hop" });
    expect(delegate.asked).toHaveLength(1);
  });
});
