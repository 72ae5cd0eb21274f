import { CodedError } from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { delegateTo } from "../testing/delegate.ts";
import { fakeSshServer } from "../testing/fake-ssh-server.ts";
import { type HopFixture, hopFixture, hopSession, serverOf } from "../testing/hop-fixture.ts";

const never = new AbortController().signal;
let hops: HopFixture;
beforeAll(async () => {
  hops = await hopFixture();
});
afterAll(() => hops[Symbol.asyncDispose]());

describe("a hop whose signatures have to be waited for", () => {
  const connectionsTo = async () => (await hops.sshd.log()).split("Connection from ").length - 1;
  const removed = new CodedError("card.removed", "it is out", { leg: "card" });

  test("is not dialled again before the identity is ready: a login that waits is charged", async () => {
    await using delegate = await delegateTo(hops.key.path);
    const { pool } = hopSession(delegate);
    await using _pool = pool;
    const route = pool.lease([hops.hopTo()]);
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
    await using delegate = await delegateTo(hops.key.path);
    delegate.refusal = removed;
    delegate.ready = async () => {
      delegate.refusal = undefined;
    };
    const { pool } = hopSession(delegate);
    await using _pool = pool;
    await pool.lease([hops.hopTo()]).lastHop(never);
    expect(delegate.readied).toEqual(["1"]);
    expect(delegate.asked).toHaveLength(2);
  });

  test("fails with what the workstation says of the card, where that does not wait", async () => {
    await using delegate = await delegateTo(hops.key.path);
    delegate.refusal = removed;
    delegate.ready = () => Promise.reject(removed);
    const { pool } = hopSession(delegate);
    await using _pool = pool;
    const before = await connectionsTo();
    const connecting = pool.lease([hops.hopTo()]).lastHop(never);
    await expect(connecting).rejects.toMatchObject({ code: "card.removed", leg: "card" });
    expect(await connectionsTo()).toBe(before + 1);
  });
});

describe("a hop that is not the declared host", () => {
  test("is refused when it lets us in without a signature, and no byte reaches it", async () => {
    await using fake = await fakeSshServer();
    await using delegate = await delegateTo(hops.key.path);
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target(
      { kind: "tcp", host: "127.0.0.1", port: 9 },
      hops.hopTo({ port: fake.port, hostKeys: [fake.hostKey] }),
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
      await using delegate = await delegateTo(hops.key.path);
      const { pool, target } = hopSession(delegate);
      await using _pool = pool;
      const port = which === "real sshd" ? hops.sshd.port : fake.port;
      const declared = which === "real sshd" ? [fake.hostKey] : serverOf(hops.sshd).hostKeys;
      const behind = target(
        { kind: "tcp", host: "127.0.0.1", port: 9 },
        hops.hopTo({ port, hostKeys: declared }),
      );
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
    await using delegate = await delegateTo(hops.key.path);
    delegate.refusal = new CodedError("sign.refused", "not a declared hop", { leg: "hop" });
    const { pool, target } = hopSession(delegate);
    await using _pool = pool;
    const behind = target({ kind: "tcp", host: "127.0.0.1", port: 9 }, hops.hopTo());
    await expect(behind.connect(never)).rejects.toMatchObject({ code: "sign.refused", leg: "hop" });
    expect(delegate.asked).toHaveLength(1);
  });
});
