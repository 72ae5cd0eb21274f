import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { text as readText } from "node:stream/consumers";
import {
  agentEnding,
  detachAgent,
  openForward,
  relayClosed,
  relayOpened,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { openTakingOver, type TakenOver } from "./takeover/open-taking-over.ts";
import { proveAgent } from "./takeover/proven-agent.ts";
import { client, forwardTo, isListening, nodeVersions } from "./testing/bundle-under-test.ts";
import { readAll, serveTcp } from "./testing/tcp.ts";
import { echo, isAlive, openTo, RESIDENT_RUN, useResidentAgent } from "./testing/use-resident-agent.ts";

describe.each(nodeVersions)("a resident agent, on %s", (version) => {
  const resident = useResidentAgent(version);
  const { launch, attach, nothingLeft } = resident;

  test("tells its metrics and its health to those who may open its control socket", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const { control, socket } = await launch();
    const port = await openTo(control, service.port);
    await echo(await client(port), "12345");
    await expect
      .poll(async () => (await ask(socket, "/metrics")).text)
      .toContain('farside_forward_bytes_total{forward="1",direction="in"} 5');
    const metrics = await ask(socket, "/metrics");
    expect(metrics.text).toContain('farside_agent_info{name="test"');
    expect(metrics.text).toContain('farside_forward_state{forward="1",state="open"} 1');
    const health = await ask(socket, "/healthz");
    expect([health.status, JSON.parse(health.text)]).toEqual([
      200,
      { status: "ok", forwards: [{ id: "1", state: "open" }] },
    ]);
  });

  test("gives way through its control socket to whoever takes its port over, and to nobody else", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const { control, pid, socket } = await launch();
    const port = await openTo(control, service.port);
    const other = await ask(socket, "/take-over", { by: "new", address: `127.0.0.1:${port + 1}` });
    expect([other.status, isAlive(pid)]).toEqual([404, true]);
    const agent = await proveAgent(pid, process.getuid?.() ?? 0);
    expect(agent).toMatchObject({ session: "test", run: RESIDENT_RUN, control: socket });
    const taken: TakenOver[] = [];
    const listener = await openTakingOver(
      { kind: "loopback", port },
      { onConnection: (each) => each.destroy(), onError: () => undefined },
      {
        uid: process.getuid?.() ?? 0,
        request: { session: "test", lostRuns: [], isForced: false },
        onTaken: (each) => taken.push(each),
      },
    );
    await listener.close();
    const address = `127.0.0.1:${port}`;
    expect(taken).toEqual([{ address, from: { session: "test", pid }, reason: "same-name" }]);
    await expect
      .poll(() => control.events)
      .toContainEqual({ name: agentEnding.name, data: { reason: "signal" } });
    await nothingLeft(pid);
  });

  test("goes on with its relays when its orchestrator is gone, and with the next one", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const { launcher, control, pid, socket } = await launch();
    expect(await control.hello).toMatchObject({
      resident: { run: RESIDENT_RUN, control: `${resident.runtimeFolder}/farside/test.sock` },
    });
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(socket))).mode & 0o777).toBe(0o700);
    const port = await openTo(control, service.port);
    const relay = await client(port);
    await echo(relay, "before");
    await expect.poll(() => control.of(relayOpened)).toHaveLength(1);
    launcher.child.kill("SIGKILL");
    await control.peer.closed;
    await echo(relay, "between");
    const missed = await client(port);
    await echo(missed, "!");
    missed.end();
    await readAll(missed);
    const again = await attach(socket);
    expect(await again.control.peer.request(renewLease, {})).toEqual({ openRelays: 1 });
    const closed = again.control.of(relayClosed);
    expect(closed).toMatchObject([{ bytesIn: 1, bytesOut: 1, reason: "end" }]);
    // A relay that was over within milliseconds is told in one event.
    expect(again.control.of(relayOpened)).toHaveLength(closed[0]?.isWhole === true ? 0 : 1);
    await echo(relay, "after");
    relay.end();
    await readAll(relay);
    const bridgeEnded = once(again.bridge.child, "exit");
    expect(await again.control.peer.request(stopAgent, { graceMs: 0 })).toEqual({ relaysCut: 0 });
    expect((await bridgeEnded)[0]).toBe(0);
    expect(again.control.of(agentEnding)).toEqual([{ reason: "stopped" }]);
    await nothingLeft(pid);
    expect(await isListening(port)).toBe(false);
  });

  test("has one orchestrator, the newest, and lets others ask and stop, nothing else", async () => {
    const { control, pid, socket } = await launch();
    const asker = await attach(socket, {});
    for (const asked of [
      asker.control.peer.request(openForward, forwardTo(9)),
      asker.control.peer.request(renewLease, {}),
      asker.control.peer.request(detachAgent, {}),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: "protocol.bad-message" });
    }
    const other = await attach(socket, { hello: { session: "another" } });
    expect(await other.control.peer.closed).toBeUndefined();
    const next = await attach(socket);
    await next.control.peer.request(renewLease, {});
    await control.peer.closed;
    // A bad message costs the channel that sent it, and nobody else.
    const rude = await attach(socket, { hello: {} });
    await rude.control.peer.request(renewLease, {});
    rude.bridge.carrier.write("this is no WebSocket frame");
    await rude.control.peer.closed;
    await asker.control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });

  test("keeps a private log beside its socket, of what it does, to its end", async () => {
    const { control, pid, socket } = await launch({ hello: { logLevel: "warn" } });
    const log = socket.replace(/\.sock$/, ".log");
    const lines = async () =>
      (await readFile(log, "utf8"))
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { level: string; message: string });
    await expect.poll(lines).toContainEqual(expect.objectContaining({ message: "an orchestrator attached" }));
    expect((await stat(log)).mode & 0o777).toBe(0o600);
    const port = await openTo(control, 9);
    // Its target is not there: it may be cut before it has heard that it is connected.
    await client(port)
      .then(readAll)
      .catch(() => undefined);
    await expect
      .poll(lines)
      .toContainEqual(
        expect.objectContaining({ level: "warn", message: "relay.close", code: "target.unreachable" }),
      );
    await control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });

  test("carries the mark of its session where it is looked for", async () => {
    const { control, pid } = await launch();
    expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).toMatch(/^farside-agent test/);
    await control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });
});

/** What the agent answers on its control socket. */
function ask(socketPath: string, page: string, body?: object) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const request = http.request({ socketPath, path: page, method }, async (response) => {
      resolve({ status: response.statusCode ?? 0, text: await readText(response) });
    });
    request.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}
