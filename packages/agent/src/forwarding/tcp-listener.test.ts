import { once } from "node:events";
import net from "node:net";
import { freePort } from "@farside/ssh/testing";
import { describe, expect, test } from "vitest";
import { hasOtherUsers, NOBODY, runAs } from "../testing/other-user.ts";
import { connect, serveOnOne, serveTcp } from "../testing/tcp.ts";
import type { ListenerOptions } from "./listener.ts";
import { openTcpListener } from "./tcp-listener.ts";

const unwatched: ListenerOptions = { onConnection: (socket) => socket.destroy(), onError: () => {} };
const loopback = (port: number) => ({ kind: "loopback", port }) as const;

function endpoints(bound: readonly object[]): [string, number][] {
  return (bound as readonly { address: string; port: number }[]).map(({ address, port }) => [address, port]);
}

describe("a listener on localhost", () => {
  test("is on 127.0.0.1 and ::1, on one free port where 0 is asked for", async () => {
    await using listener = await openTcpListener(loopback(0), unwatched);
    const [[v4, port] = [], [v6, port6] = []] = endpoints(listener.bound);
    expect([v4, v6]).toEqual(["127.0.0.1", "::1"]);
    expect(port).toBeGreaterThan(0);
    expect(port6).toBe(port);
    expect(listener.isLoopback).toBe(true);
  });

  test("hands on paused connections to both, with the client's address", async () => {
    const peers: string[] = [];
    const sockets: net.Socket[] = [];
    const onConnection = (socket: net.Socket, peer: string) => {
      peers.push(peer);
      sockets.push(socket);
    };
    await using listener = await openTcpListener(loopback(0), { onConnection, onError: () => {} });
    const [[, port = 0] = []] = endpoints(listener.bound);
    const v4 = await connect({ host: "127.0.0.1", port });
    const v6 = await connect({ host: "::1", port });
    v4.write("not read");
    await listener.close();
    const local = [v4, v6].map((client) => (client.address() as net.AddressInfo).port);
    await expect.poll(() => peers).toEqual([`127.0.0.1:${local[0]}`, `[::1]:${local[1]}`]);
    expect(sockets.map(({ bytesRead, readableFlowing }) => [bytesRead, readableFlowing])).toEqual([
      [0, false],
      [0, false],
    ]);
    for (const socket of [...sockets, v4, v6]) socket.destroy();
  });

  test.each(["127.0.0.1", "::1"] as const)(
    "is an error that names the holder when %s is taken, and leaves nothing open",
    async (taken) => {
      await using holder = await serveOnOne(taken);
      const failure = openTcpListener(loopback(holder.port), unwatched);
      await expect(failure).rejects.toMatchObject({
        code: "forward.port-in-use",
        leg: "bind",
        message: expect.stringMatching(
          new RegExp(`:${holder.port} of the jump host: pid ${process.pid} \\(.+\\) holds the port$`),
        ),
        hint: expect.stringContaining("port"),
      });
      await expect(failure).rejects.toMatchObject({ data: { address: taken, port: holder.port } });
      const other = taken === "::1" ? "127.0.0.1" : "::1";
      await using again = await serveTcp(() => {}, { host: other, port: holder.port });
      expect(again.port).toBe(holder.port);
    },
  );

  test("names a holder on all addresses, too", async () => {
    await using holder = await serveTcp(() => {}, { host: "::", port: 0 });
    await expect(openTcpListener(loopback(holder.port), unwatched)).rejects.toMatchObject({
      code: "forward.port-in-use",
      message: expect.stringContaining(`pid ${process.pid}`),
    });
  });

  test.runIf(hasOtherUsers)(
    "tells an agent of farside by its session, and how to tear that down",
    async () => {
      const program = `process.title = "farside-agent brave-otter"; const s = require("net").createServer();
      s.listen(0, "127.0.0.1", () => console.log(s.address().port));`;
      await using holder = runAs(NOBODY, program);
      const port = Number(await holder.line());
      await expect(openTcpListener(loopback(port), unwatched)).rejects.toMatchObject({
        message: expect.stringContaining(
          `pid ${holder.child.pid} (farside-agent brave-otter) holds the port`,
        ),
        hint: "It is an agent of farside: farside teardown brave-otter, or take its place with --take-over.",
      });
    },
  );

  test("can be opened again at once after its close", async () => {
    const port = await freePort();
    for (let round = 0; round < 3; round += 1) {
      await using listener = await openTcpListener(loopback(port), unwatched);
      const client = await connect({ host: "127.0.0.1", port });
      client.destroy();
      expect(listener.bound).toHaveLength(2);
    }
  });

  test("closes once, however often it is asked", async () => {
    const listener = await openTcpListener(loopback(0), unwatched);
    await Promise.all([listener.close(), listener.close()]);
    await listener[Symbol.asyncDispose]();
    const [[, port = 0] = []] = endpoints(listener.bound);
    const client = net.connect(port, "127.0.0.1");
    const [error] = await once(client, "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("a listener on a spelled-out address", () => {
  test("binds that one only, and knows whether other hosts reach it", async () => {
    await using one = await openTcpListener({ kind: "tcp", address: "127.0.0.1", port: 0 }, unwatched);
    await using all = await openTcpListener({ kind: "tcp", address: "*", port: 0 }, unwatched);
    await using named = await openTcpListener({ kind: "tcp", address: "localhost", port: 0 }, unwatched);
    expect(endpoints(one.bound).map(([address]) => address)).toEqual(["127.0.0.1"]);
    expect(endpoints(all.bound).map(([address]) => address)).toEqual(["0.0.0.0", "::"]);
    expect(endpoints(named.bound).map(([address]) => address)).toEqual(["127.0.0.1", "::1"]);
    expect([one.isLoopback, all.isLoopback, named.isLoopback]).toEqual([true, false, true]);
  });

  test("is refused where the host has no such address", async () => {
    const refused = openTcpListener({ kind: "tcp", address: "192.0.2.1", port: 4444 }, unwatched);
    await expect(refused).rejects.toMatchObject({
      code: "forward.bind-refused",
      leg: "bind",
      message: "cannot listen on 192.0.2.1:4444 of the jump host: the jump host has no such address",
    });
  });

  test("is refused for a name that is not known", async () => {
    const refused = openTcpListener({ kind: "tcp", address: "no-such-host.invalid", port: 4444 }, unwatched);
    await expect(refused).rejects.toMatchObject({ code: "forward.bind-refused", leg: "bind" });
  });
});

test.runIf(hasOtherUsers)("a privileged port is refused with the limit in the hint", async () => {
  const program = `
    const s = require("net").createServer().on("error", (e) => console.log(e.code)).listen(81, "127.0.0.1", () => console.log("open"));`;
  await using other = runAs(NOBODY, program);
  // What the kernel says to others than root is what the explanation is for; as root the bind itself can't fail so.
  expect(await other.line()).toBe("EACCES");
  const { bindFailure } = await import("./bind-failure.ts");
  const error = Object.assign(new Error("listen EACCES"), { code: "EACCES" });
  expect(await bindFailure("127.0.0.1", 81, error)).toMatchObject({
    code: "forward.bind-refused",
    leg: "bind",
    message: "cannot listen on 127.0.0.1:81 of the jump host: permission denied",
    hint: expect.stringContaining("Ports below 1024 need root"),
  });
});
