import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import { agentEnding, encodeFrame, renewLease, stopAgent } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { AgentProcess, type AgentProcessOptions, startWithPreamble } from "./testing/agent-process.ts";
import { client, isListening, nodeVersions, open, relayed, useBundle } from "./testing/bundle-under-test.ts";
import { readAll, serveTcp } from "./testing/tcp.ts";
import { within } from "./testing/within.ts";

const shared = useBundle();

describe.each(nodeVersions)("an agent as its bundle, on %s", (version) => {
  const start = (options: Omit<AgentProcessOptions, "bundle"> = {}) =>
    AgentProcess.start({ bundle: shared.bundle, node: shared.nodes[version], ...options });

  test("ends at once at the end of stdin, resets its relays and removes its socket", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const socketPath = path.join(shared.folder, `${process.pid}.sock`);
    await open(agent, service.port, { forwardId: "2", bind: { kind: "unix", path: socketPath } });
    const socket = await relayed(port);
    const cut = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(existsSync(socketPath)).toBe(true);
    const startedAt = performance.now();
    agent.child.stdin.end();
    expect(await agent.exit()).toEqual([0, null]);
    // No grace, and no lease that has to expire first.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await cut;
    expect([existsSync(socketPath), await isListening(port)]).toEqual([false, false]);
    expect(agent.log).toContain('"reason":"stdin-ended"');
  });

  test("ends when its stdout is gone", async () => {
    await using agent = await start();
    agent.child.stdout.destroy();
    agent.peer.request(renewLease, {}).catch(() => {});
    expect((await agent.exit())[0]).toBe(0);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("ends in order on %s", async (signal, code) => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const socket = await relayed(port);
    const cut = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    agent.child.kill(signal);
    expect(await agent.exit()).toEqual([code, null]);
    expect(await agent.event(agentEnding)).toEqual({ reason: "signal" });
    await cut;
  });

  test("gives its relays the grace of a stop, and answers before it exits", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const socket = await relayed(port);
    const stopping = agent.peer.request(stopAgent, { graceMs: 60_000 });
    await expect.poll(() => isListening(port)).toBe(false);
    socket.end("the rest");
    expect((await readAll(socket)).toString()).toBe("the rest");
    expect(await stopping).toEqual({ relaysCut: 0 });
    expect(await agent.exit()).toEqual([0, null]);
  });

  test("cuts what is left when the grace is over, or when a second stop has none", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const sockets = await Promise.all([relayed(port), relayed(port)]);
    const cuts = sockets.map((socket) =>
      expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" }),
    );
    const first = agent.peer.request(stopAgent, { graceMs: 60_000 });
    expect(await agent.peer.request(stopAgent, { graceMs: 0 })).toEqual({ relaysCut: 2 });
    expect(await first).toEqual({ relaysCut: 0 });
    await Promise.all(cuts);
    expect(await agent.exit()).toEqual([0, null]);
  });

  // They mostly wait: at the same time.
  describe.concurrent("by its clocks", () => {
    test("ends when its lease is not renewed, and not while it is", async ({ expect }) => {
      const leaseMs = 3_000;
      await using service = await serveTcp((socket) => socket.pipe(socket));
      await using agent = await start({ hello: { leaseMs } });
      const port = await open(agent, service.port);
      const socket = await relayed(port);
      const cut = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
      const startedAt = performance.now();
      let lastRenewal = startedAt;
      while (performance.now() - startedAt < leaseMs + 500) {
        lastRenewal = performance.now();
        await agent.peer.request(renewLease, {});
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(await agent.exit()).toEqual([69, null]);
      expect(performance.now() - lastRenewal).toBeGreaterThan(leaseMs - 50);
      expect(agent.endReason).toBe("lease-expired");
      await cut;
    });

    test("takes no relay after a stop of the process that outlived its lease, and goes on once it is renewed", async ({
      expect,
    }) => {
      await using service = await serveTcp((socket) => socket.pipe(socket));
      await using agent = await start({ hello: { leaseMs: 4_000 } });
      const port = await open(agent, service.port);
      agent.child.kill("SIGSTOP");
      const socket = await client(port);
      socket.write("!");
      await new Promise((resolve) => setTimeout(resolve, 5_500));
      const renewal = agent.peer.request(renewLease, {});
      agent.child.kill("SIGCONT");
      expect(await renewal).toEqual({ openRelays: 0 });
      await within(once(socket, "data"), () => "the waiting relay did not start");
      expect(agent.events.map(({ name }) => name)).not.toContain("relay.refused");
      socket.destroy();
      await agent.peer.request(stopAgent, { graceMs: 0 });
      expect(await agent.exit()).toEqual([0, null]);
    });

    test("ends after --ttl", async ({ expect }) => {
      await using agent = await start({ hello: { ttlMs: 300 } });
      expect(await agent.exit()).toEqual([0, null]);
      expect(agent.endReason).toBe("ttl");
    });

    test("ends after --idle, but not while a relay is open", async ({ expect }) => {
      const idleMs = 2_500;
      await using service = await serveTcp((socket) => socket.pipe(socket));
      await using agent = await start({ hello: { idleMs, leaseMs: 60_000 } });
      const socket = await relayed(await open(agent, service.port));
      await new Promise((resolve) => setTimeout(resolve, idleMs + 500));
      expect(agent.child.exitCode).toBeNull();
      socket.end();
      await readAll(socket);
      expect(await agent.exit()).toEqual([0, null]);
      expect(agent.endReason).toBe("idle");
    });

    test("serves a connection that came before --idle was over and is accepted only after it", async ({
      expect,
    }) => {
      const idleMs = 2_500;
      await using service = await serveTcp((socket) => socket.pipe(socket));
      await using agent = await start({ hello: { idleMs, leaseMs: 60_000 } });
      const port = await open(agent, service.port);
      agent.child.kill("SIGSTOP");
      const socket = await client(port);
      socket.write("!");
      await new Promise((resolve) => setTimeout(resolve, idleMs + 500));
      agent.child.kill("SIGCONT");
      await within(once(socket, "data"), () => "the waiting relay did not start");
      socket.end();
      await readAll(socket);
      expect(await agent.exit()).toEqual([0, null]);
      expect(agent.endReason).toBe("idle");
    });
  });

  test.each([
    ["garbage", Buffer.from("GET / HTTP/1.1\r\n\r\n"), 76],
    ["a frame that is too long", Buffer.from([0xff, 0xff, 0xff, 0xff]), 76],
    ["half a frame and the end", Buffer.from([0, 0, 0, 9, 1]), 76],
    [
      "a message that is none",
      encodeFrame({ kind: "event", name: "hello.orchestrator", data: { protocol: "no" } }),
      76,
    ],
    [
      "a request before the hello and the end",
      encodeFrame({ kind: "request", id: 1, name: "lease.renew", params: {} }),
      0,
    ],
  ])("ends on %s", async (_what, bytes, code) => {
    const { child } = await startWithPreamble({ bundle: shared.bundle, node: shared.nodes[version] });
    child.stdout.resume();
    child.stdin.end(bytes);
    const [exitCode] = await within(once(child, "exit"), () => "it hangs");
    expect(exitCode).toBe(code);
  });

  test("ends when the orchestrator speaks another version", async () => {
    await using agent = await start({ hello: { protocol: 99 } });
    expect(await agent.exit()).toEqual([76, null]);
    expect(await agent.event(agentEnding)).toMatchObject({
      reason: "fatal",
      error: { code: "protocol.version" },
    });
  });
});
