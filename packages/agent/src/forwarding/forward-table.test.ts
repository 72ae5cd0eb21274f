import { once } from "node:events";
import net from "node:net";
import { CodedError, MAX_FORWARDS, type OpenForwardParams } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { connect, readAll, serveTcp, type TestServer } from "../testing/tcp.ts";
import { ForwardTable } from "./forward-table.ts";
import { relayGate } from "./relay-gate.ts";
import { RoutePool } from "./route-pool.ts";

const never = new AbortController().signal;
const self = process.getuid?.() ?? 0;

interface Emitted {
  readonly name: string;
  readonly data: Record<string, unknown>;
}

function table({ isLeaseHeld = (): boolean => true, uid = self } = {}) {
  const events: Emitted[] = [];
  const openCounts: number[] = [];
  const routes = new RoutePool({
    connect: async (_hop, _previous, signal) => {
      await once(signal, "abort");
      throw signal.reason;
    },
    onConnected: () => {},
    onLost: () => {},
  });
  const forwards = new ForwardTable({
    uid,
    routes,
    gate: relayGate(isLeaseHeld),
    emit: (definition, data) => events.push({ name: definition.name, data: data as Record<string, unknown> }),
    onRelaysChanged: (open) => openCounts.push(open),
  });
  const named = (name: string) => events.filter((event) => event.name === name).map(({ data }) => data);
  return {
    forwards,
    events,
    named,
    openCounts,
    [Symbol.asyncDispose]: () => forwards[Symbol.asyncDispose](),
  };
}

function params(service: { port: number }, changes: Partial<OpenForwardParams> = {}): OpenForwardParams {
  return {
    forwardId: "1",
    bind: { kind: "loopback", port: 0 },
    target: { kind: "tcp", host: "127.0.0.1", port: service.port },
    route: [],
    admission: { allowUsers: [], allowAnyUser: false },
    maxRelays: 0,
    ...changes,
  };
}

async function open(
  forwards: ForwardTable,
  service: TestServer,
  changes: Partial<OpenForwardParams> = {},
): Promise<number> {
  const [bound] = await forwards.open(params(service, changes), never);
  return bound?.kind === "tcp" ? bound.port : 0;
}

const client = (port: number) => connect({ host: "127.0.0.1", port });

describe("a forward", () => {
  test("tells of each relay's start and end, with bytes and the client's address and user", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = table();
    const port = await open(host.forwards, service);
    const socket = await client(port);
    const peer = `127.0.0.1:${(socket.address() as net.AddressInfo).port}`;
    await expect
      .poll(() => host.named("relay.open"))
      .toEqual([{ forwardId: "1", relayId: 1, peer, uid: self }]);
    socket.end("12345");
    await readAll(socket);
    await expect
      .poll(() => host.named("relay.close"))
      .toMatchObject([
        { forwardId: "1", relayId: 1, peer, uid: self, bytesIn: 5, bytesOut: 5, reason: "end" },
      ]);
    expect(host.named("relay.close")[0]).not.toHaveProperty("isWhole");
    expect(host.openCounts).toEqual([1, 0]);
    const counters = { openRelays: 0, totalRelays: 1, refusedRelays: 0, bytesIn: 5, bytesOut: 5 };
    expect(host.forwards.counters).toEqual([{ forwardId: "1", ...counters, state: { phase: "open" } }]);
  });

  test("resets the client of a target that can't be dialled, and says which leg", async () => {
    const service = await serveTcp();
    await service[Symbol.asyncDispose]();
    await using host = table();
    const port = await open(host.forwards, service);
    await expect(readAll(await client(port))).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect
      .poll(() => host.named("relay.close"))
      .toMatchObject([
        { reason: "error", bytesIn: 0, bytesOut: 0, error: { code: "target.unreachable", leg: "target" } },
      ]);
  });

  test("has counters for each open relay, the newest first", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = table();
    const port = await open(host.forwards, service);
    const clients = [await client(port), await client(port)];
    clients[0]?.write("123");
    await expect
      .poll(() => host.forwards.relays)
      .toMatchObject([
        { forwardId: "1", relayId: 2, uid: self, bytesIn: 0, bytesOut: 0 },
        { forwardId: "1", relayId: 1, uid: self, bytesIn: 3, bytesOut: 3 },
      ]);
    for (const each of clients) each.destroy();
    await expect.poll(() => host.forwards.relays).toEqual([]);
  });

  test("is degraded while its target can't be had, and says why; a relay that has it again mends that", async () => {
    const service = await serveTcp();
    await using host = table();
    const port = await open(host.forwards, service);
    await service[Symbol.asyncDispose]();
    await expect(readAll(await client(port))).rejects.toMatchObject({ code: "ECONNRESET" });
    const lastError = { code: "target.unreachable", leg: "target" };
    const degraded = { phase: "degraded", waitsFor: "the target", lastError };
    expect(host.forwards.counters).toMatchObject([{ state: degraded }]);
    await expect.poll(() => host.named("forward.state")).toMatchObject([{ forwardId: "1", state: degraded }]);
    await using _again = await serveTcp((socket) => socket.end(), { host: "127.0.0.1", port: service.port });
    await readAll(await client(port));
    const open_ = { phase: "open", lastError };
    await expect.poll(() => host.named("forward.state")[1]).toMatchObject({ state: open_ });
  });

  test("is known to be degraded by a probe, without a relay, and nobody else's connection", async () => {
    const service = await serveTcp((socket) => socket.end());
    await using host = table();
    await open(host.forwards, service, { probeMs: 50 });
    await expect.poll(() => service.accepted).toBeGreaterThan(1);
    expect(host.named("forward.state")).toEqual([]);
    await service[Symbol.asyncDispose]();
    await expect.poll(() => host.named("forward.state")).toMatchObject([{ state: { phase: "degraded" } }]);
    expect(host.named("relay.open")).toEqual([]);
  });

  test.runIf(hasOtherUsers)("resets another user's connection before the target hears of it", async () => {
    await using service = await serveTcp((socket) => socket.end("secret"));
    await using host = table();
    const port = await open(host.forwards, service);
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
      await using host = table({ uid: 54_321 });
      const port = await open(host.forwards, service, {
        admission: { allowUsers: ["nobody"], allowAnyUser: false },
      });
      await using other = runAs(NOBODY, clientProgram(port));
      expect([await other.line(), await other.line()]).toEqual(["open", "data welcome"]);
      expect((await readAll(await client(port))).toString()).toBe("welcome");
    },
  );

  test("refuses a user name that the host does not know, without opening anything", async () => {
    await using service = await serveTcp();
    await using host = table();
    const admission = { allowUsers: ["no-such-user"], allowAnyUser: false };
    await expect(open(host.forwards, service, { admission })).rejects.toMatchObject({
      code: "config.invalid",
    });
    expect(host.forwards.counters).toEqual([]);
  });

  test("lets connections above --max-relays wait, unread, until a place is free", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = table();
    const port = await open(host.forwards, service, { maxRelays: 2 });
    const clients = await Promise.all([client(port), client(port), client(port), client(port)]);
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
    await using host = table({ isLeaseHeld: () => isHeld });
    const port = await open(host.forwards, service);
    const socket = await client(port);
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
    await using host = table({ isLeaseHeld: () => isHeld });
    const port = await open(host.forwards, service);
    const clients = await Promise.all(Array.from({ length: 1500 }, () => client(port)));
    isHeld = true;
    host.forwards.pump();
    for (const socket of clients) socket.resume().end();
    await expect
      .poll(() => host.forwards.counters[0], { timeout: 15_000 })
      .toMatchObject({ openRelays: 0, totalRelays: 1500 });
  }, 30_000);

  test("keeps its relays open for the grace and cuts the rest", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using host = table();
    const port = await open(host.forwards, service);
    const [soon, stays] = await Promise.all([client(port), client(port)]);
    soon.write("a");
    stays.write("b");
    await Promise.all([once(soon, "data"), once(stays, "data")]);
    const closing = host.forwards.closeAll(60_000);
    const refused = net.connect(port, "127.0.0.1");
    expect((await once(refused, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
    soon.end();
    await readAll(soon);
    stays.write("still there");
    expect(String((await once(stays, "data"))[0])).toBe("still there");
    const cut = host.forwards.closeAll(0);
    await expect(readAll(stays)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await cut).toBe(1);
    expect(await closing).toBe(0);
    expect(host.named("relay.close").map(({ reason }) => reason)).toEqual(["end", "closed"]);
  });

  test("that is closed while its hops connect opens nothing and lets go of its port", async () => {
    await using service = await serveTcp();
    await using host = table();
    await using free = await serveTcp();
    const { port } = free;
    await free[Symbol.asyncDispose]();
    const key = Buffer.from("key");
    const hop = { hopId: "1", user: "u", host: "h", port: 22, hostKeys: [key], publicKeys: [key] };
    const opening = open(host.forwards, service, { route: [hop], bind: { kind: "loopback", port } });
    const failed = expect(opening).rejects.toMatchObject({ code: "canceled" });
    const early = await expect
      .poll(() => client(port).catch(() => undefined))
      .toBeDefined()
      .then(() => client(port));
    const cutOff = readAll(early);
    await host.forwards.close("1", 0);
    await failed;
    await expect(cutOff).rejects.toMatchObject({ code: "ECONNRESET" });
    const again = await serveTcp(() => {}, { host: "127.0.0.1", port });
    await again[Symbol.asyncDispose]();
  });

  test("that the orchestrator cancels while its hops connect is gone", async () => {
    await using service = await serveTcp();
    await using host = table();
    const key = Buffer.from("key");
    const hop = { hopId: "1", user: "u", host: "h", port: 22, hostKeys: [key], publicKeys: [key] };
    const controller = new AbortController();
    const opening = host.forwards.open(params(service, { route: [hop] }), controller.signal);
    const reason = new CodedError("canceled", "the asker canceled the request");
    await expect.poll(() => host.forwards.counters.length).toBe(1);
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    expect(host.forwards.counters).toEqual([]);
  });

  test("that does not exist can't be closed, and one that exists not opened again", async () => {
    await using service = await serveTcp();
    await using host = table();
    await expect(host.forwards.close("7", 0)).rejects.toMatchObject({ code: "forward.not-found" });
    await open(host.forwards, service);
    await expect(open(host.forwards, service)).rejects.toThrow("exists already");
    await host.forwards.close("1", 0);
    await open(host.forwards, service);
  });

  test("is refused above the limit of a session, and once the agent ends", async () => {
    await using service = await serveTcp();
    await using host = table();
    for (let id = 0; id < MAX_FORWARDS; id += 1) await open(host.forwards, service, { forwardId: `${id}` });
    const more = open(host.forwards, service, { forwardId: "more" });
    await expect(more).rejects.toMatchObject({ code: "config.invalid" });
    await host.forwards.closeAll(0);
    const late = open(host.forwards, service, { forwardId: "late" });
    await expect(late).rejects.toMatchObject({ code: "canceled" });
  });
});
