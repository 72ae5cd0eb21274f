import { existsSync } from "node:fs";
import net from "node:net";
import { agentEnding, describeAgent, detachAgent, renewLease, stopAgent } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { client, isListening, nodeVersions } from "./testing/bundle-under-test.ts";
import { Control } from "./testing/resident-process.ts";
import { readAll, serveTcp } from "./testing/tcp.ts";
import { echo, openTo, useResidentAgent } from "./testing/use-resident-agent.ts";

describe.each(nodeVersions)("the end of a resident agent, on %s", (version) => {
  const { launch, startLauncher, startBridge, nothingLeft } = useResidentAgent(version);

  test("ends when its lease is over and nobody has come back, and leaves nothing", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const { launcher, control, pid } = await launch({ hello: { leaseMs: 2500 } });
    const renewing = setInterval(() => void control.peer.request(renewLease, {}).catch(() => {}), 300);
    const port = await openTo(control, service.port);
    const relay = await client(port);
    await echo(relay, "!");
    clearInterval(renewing);
    const cut = expect(readAll(relay)).rejects.toMatchObject({ code: "ECONNRESET" });
    launcher.child.kill("SIGKILL");
    await cut;
    await nothingLeft(pid);
  });

  test("lives without a lease once it is detached, to the end of its ttl", async () => {
    const { launcher, control, pid, socket } = await launch({ hello: { leaseMs: 1000, ttlMs: 4500 } });
    const startedAt = performance.now();
    expect(await control.peer.request(detachAgent, {})).toEqual({});
    launcher.child.kill("SIGKILL");
    await expect.poll(() => performance.now() - startedAt).toBeGreaterThan(1_500);
    // Without a bridge, which would have to start first.
    const asker = await Control.over(net.connect(socket));
    expect(await asker.peer.request(describeAgent, {})).toMatchObject({ forwards: [] });
    await nothingLeft(pid);
    expect(performance.now() - startedAt).toBeGreaterThan(4_000);
    expect(asker.of(agentEnding)).toEqual([]);
  });

  test("can't be detached without a ttl", async () => {
    const { control, pid } = await launch();
    await expect(control.peer.request(detachAgent, {})).rejects.toMatchObject({ code: "config.invalid" });
    process.kill(pid, "SIGTERM");
    await control.peer.closed;
    expect(control.of(agentEnding)).toEqual([{ reason: "signal" }]);
    await nothingLeft(pid);
  });

  test("gives its relays the grace at a signal, and not at a second one", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const withRelay = async (graceMs: number) => {
      const { control, pid } = await launch({ hello: { graceMs } });
      const port = await openTo(control, service.port);
      const relay = await client(port);
      await echo(relay, "before");
      process.kill(pid, "SIGTERM");
      await expect.poll(() => isListening(port)).toBe(false);
      return { pid, relay };
    };
    const patient = await withRelay(60_000);
    await echo(patient.relay, "within the grace");
    patient.relay.end();
    await readAll(patient.relay);
    await nothingLeft(patient.pid);
    const late = await withRelay(100);
    await expect(readAll(late.relay)).rejects.toMatchObject({ code: "ECONNRESET" });
    await nothingLeft(late.pid);
    const hurried = await withRelay(60_000);
    process.kill(hurried.pid, "SIGTERM");
    await expect(readAll(hurried.relay)).rejects.toMatchObject({ code: "ECONNRESET" });
    await nothingLeft(hurried.pid);
  });

  test("ends where nobody says hello to it, and says why it could not start", async () => {
    const { control, pid, socket } = await launch({});
    expect(existsSync(socket)).toBe(true);
    const second = await startLauncher();
    expect(second.status).toMatch(/^launch-failed:.*session\.name-in-use/);
    await control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });

  test("takes over the socket of one that was killed", async () => {
    const first = await launch();
    process.kill(first.pid, "SIGKILL");
    await first.control.peer.closed;
    expect(existsSync(first.socket)).toBe(true);
    const gone = await startBridge(first.socket);
    expect(gone.status).toMatch(/^no-agent:/);
    const { control, pid } = await launch();
    await control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });
});
