import type net from "node:net";
import { describe, expect, test } from "vitest";
import { clientOf, forwardHost, openForward, ownUid } from "../testing/forward-host.ts";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { readAll, serveTcp } from "../testing/tcp.ts";

describe("a forward", () => {
  test("tells of each relay's start and end, with bytes and the client's address and user", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    const socket = await clientOf(port);
    const peer = `127.0.0.1:${(socket.address() as net.AddressInfo).port}`;
    await expect
      .poll(() => host.named("relay.open"))
      .toEqual([{ forwardId: "1", relayId: 1, peer, uid: ownUid }]);
    socket.end("12345");
    await readAll(socket);
    await expect
      .poll(() => host.named("relay.close"))
      .toMatchObject([
        { forwardId: "1", relayId: 1, peer, uid: ownUid, bytesIn: 5, bytesOut: 5, reason: "end" },
      ]);
    expect(host.named("relay.close")[0]).not.toHaveProperty("isWhole");
    expect(host.openCounts).toEqual([1, 0]);
    const counters = { openRelays: 0, totalRelays: 1, refusedRelays: 0, bytesIn: 5, bytesOut: 5 };
    expect(host.forwards.counters).toEqual([{ forwardId: "1", ...counters, state: { phase: "open" } }]);
  });

  test("resets the client of a target that can't be dialled, and says which leg", async () => {
    const service = await serveTcp();
    await service[Symbol.asyncDispose]();
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    await expect(readAll(await clientOf(port))).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect
      .poll(() => host.named("relay.close"))
      .toMatchObject([
        { reason: "error", bytesIn: 0, bytesOut: 0, error: { code: "target.unreachable", leg: "target" } },
      ]);
  });

  test("has counters for each open relay, the newest first", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    const clients = [await clientOf(port), await clientOf(port)];
    clients[0]?.write("123");
    await expect
      .poll(() => host.forwards.relays)
      .toMatchObject([
        { forwardId: "1", relayId: 2, uid: ownUid, bytesIn: 0, bytesOut: 0 },
        { forwardId: "1", relayId: 1, uid: ownUid, bytesIn: 3, bytesOut: 3 },
      ]);
    for (const each of clients) each.destroy();
    await expect.poll(() => host.forwards.relays).toEqual([]);
  });

  test("is degraded while its target can't be had, and says why; a relay that has it again mends that", async () => {
    const service = await serveTcp();
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    await service[Symbol.asyncDispose]();
    await expect(readAll(await clientOf(port))).rejects.toMatchObject({ code: "ECONNRESET" });
    const lastError = { code: "target.unreachable", leg: "target" };
    const degraded = { phase: "degraded", waitsFor: "the target", lastError };
    expect(host.forwards.counters).toMatchObject([{ state: degraded }]);
    await expect.poll(() => host.named("forward.state")).toMatchObject([{ forwardId: "1", state: degraded }]);
    await using _again = await serveTcp((socket) => socket.end(), { host: "127.0.0.1", port: service.port });
    await readAll(await clientOf(port));
    const open_ = { phase: "open", lastError };
    await expect.poll(() => host.named("forward.state")[1]).toMatchObject({ state: open_ });
  });

  test("is known to be degraded by a probe, without a relay, and nobody else's connection", async () => {
    const service = await serveTcp((socket) => socket.end());
    await using host = forwardHost();
    await openForward(host.forwards, service, { probeMs: 50 });
    await expect.poll(() => service.accepted).toBeGreaterThan(1);
    expect(host.named("forward.state")).toEqual([]);
    await service[Symbol.asyncDispose]();
    await expect.poll(() => host.named("forward.state")).toMatchObject([{ state: { phase: "degraded" } }]);
    expect(host.named("relay.open")).toEqual([]);
  });

  test.runIf(hasOtherUsers)("resets another user's connection before the target hears of it", async () => {
    await using service = await serveTcp((socket) => socket.end("secret"));
    await using host = forwardHost();
    const port = await openForward(host.forwards, service);
    await using other = runAs(NOBODY, clientProgram(port));
    expect(await other.line()).toBe("open");
    expect(await other.line()).toBe("ECONNRESET");
    expect(host.named("relay.refused")).toMatchObject([
      {
        forwardId: "1",
        uid: NOBODY,
        reason: "other-user",
        hint: expect.stringContaining("--allow-user nobody"),
      },
    ]);
    expect([service.accepted, host.named("relay.open").length]).toEqual([0, 0]);
    expect(host.forwards.counters).toMatchObject([{ refusedRelays: 1, totalRelays: 0 }]);
  });

  test.runIf(hasOtherUsers)(
    "lets another user in who is allowed by name, and root in whoever the agent is",
    async () => {
      await using service = await serveTcp((socket) => socket.end("welcome"));
      await using host = forwardHost({ uid: 54_321 });
      const port = await openForward(host.forwards, service, {
        admission: { allowUsers: ["nobody"], allowAnyUser: false },
      });
      await using other = runAs(NOBODY, clientProgram(port));
      expect([await other.line(), await other.line()]).toEqual(["open", "data welcome"]);
      expect((await readAll(await clientOf(port))).toString()).toBe("welcome");
    },
  );

  test("refuses a user name that the host does not know, without opening anything", async () => {
    await using service = await serveTcp();
    await using host = forwardHost();
    const admission = { allowUsers: ["no-such-user"], allowAnyUser: false };
    await expect(openForward(host.forwards, service, { admission })).rejects.toMatchObject({
      code: "config.invalid",
    });
    expect(host.forwards.counters).toEqual([]);
  });

  test("lets connections above --max-relays wait, unread, until a place is free", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = forwardHost();
    const port = await openForward(host.forwards, service, { maxRelays: 2 });
    const clients = await Promise.all([clientOf(port), clientOf(port), clientOf(port), clientOf(port)]);
    for (const socket of clients) socket.write("x");
    await expect.poll(() => service.accepted).toBe(2);
    expect(host.forwards.counters).toMatchObject([{ openRelays: 2, totalRelays: 2 }]);
    const ends = clients.map((socket) => readAll(socket));
    for (const socket of clients) socket.end();
    expect((await Promise.all(ends)).map(String)).toEqual(["x", "x", "x", "x"]);
    await expect.poll(() => host.forwards.counters).toMatchObject([{ openRelays: 0, totalRelays: 4 }]);
  });

  test("starts no relay while the lease is not held, and those that waited once it is", async () => {
    let isHeld = false;
    await using service = await serveTcp((socket) => socket.end("now"));
    await using host = forwardHost({ isLeaseHeld: () => isHeld });
    const port = await openForward(host.forwards, service);
    const socket = await clientOf(port);
    const answer = readAll(socket);
    await expect.poll(() => host.forwards.counters[0]?.openRelays).toBe(0);
    expect(service.accepted).toBe(0);
    isHeld = true;
    host.forwards.pump();
    expect((await answer).toString()).toBe("now");
    socket.destroy();
  });

  test("starts thousands of waiting connections without running out of stack", async () => {
    let isHeld = false;
    await using service = await serveTcp((socket) => socket.end());
    await using host = forwardHost({ isLeaseHeld: () => isHeld });
    const port = await openForward(host.forwards, service);
    const clients = await Promise.all(Array.from({ length: 1500 }, () => clientOf(port)));
    isHeld = true;
    host.forwards.pump();
    for (const socket of clients) socket.resume().end();
    await expect.poll(() => host.forwards.counters[0]).toMatchObject({ openRelays: 0, totalRelays: 1500 });
  });
});
