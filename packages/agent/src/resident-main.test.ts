import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import http from "node:http";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { text as readText } from "node:stream/consumers";
import {
  agentEnding,
  describeAgent,
  detachAgent,
  openForward,
  relayClosed,
  relayOpened,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openTakingOver, type TakenOver } from "./takeover/open-taking-over.ts";
import { proveAgent } from "./takeover/proven-agent.ts";
import { type BuiltBundle, buildBundle, oldestNode } from "./testing/build-bundle.ts";
import { client, forwardTo, isListening, nodeVersions } from "./testing/bundle-under-test.ts";
import { newRun } from "./testing/new-run.ts";
import { Control, type ControlOptions, type LoadedProcess, load } from "./testing/resident-process.ts";
import { readAll, serveTcp } from "./testing/tcp.ts";

const NONCE = newRun();
let bundles: { agent: BuiltBundle; bridge: BuiltBundle };
let oldest: string;
let runtimeFolder: string;
let loaded: LoadedProcess[];
let agents: number[];

beforeAll(async () => {
  const [agent, bridge] = await Promise.all([buildBundle("resident-agent"), buildBundle("bridge")]);
  bundles = { agent, bridge };
  oldest = await oldestNode();
}, 150_000);
afterAll(async () => {
  await Promise.all([bundles.agent[Symbol.asyncDispose](), bundles.bridge[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  runtimeFolder = await mkdtemp(path.join(os.tmpdir(), "fs-rt-"));
  loaded = [];
  agents = [];
});
afterEach(async () => {
  for (const { child } of loaded) child.kill("SIGKILL");
  for (const pid of agents) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await rm(runtimeFolder, { recursive: true, force: true });
});

/** One that has ended and waits for whoever reaps orphans here is not alive. */
const isAlive = (pid: number): boolean => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
};
const nothingLeft = async (pid: number) => {
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
  expect(await readdir(runtimeFolder)).toEqual([]);
};

describe.each(nodeVersions)("a resident agent, on %s", (version) => {
  const start = async (
    bundle: BuiltBundle,
    job: Readonly<Record<string, string>>,
  ): Promise<LoadedProcess> => {
    const node = version === "this Node.js" ? process.execPath : oldest;
    // As the bootstrap has it.
    const environment = { ...process.env, XDG_RUNTIME_DIR: runtimeFolder, FARSIDE_RUN: NONCE };
    const found = await load({ bundle: bundle.path, node, nonce: NONCE, job, environment });
    loaded.push(found);
    return found;
  };
  const launch = async (options: ControlOptions = { hello: {} }) => {
    const launcher = await start(bundles.agent, { job: "launch", session: "test" });
    expect(launcher.status).toBe("bridge");
    const control = await Control.over(launcher.carrier, options);
    const { pid, resident } = await control.hello;
    agents.push(pid);
    return { launcher, control, pid, socket: resident?.control ?? "" };
  };
  const attach = async (socket: string, options: ControlOptions = { hello: {} }) => {
    const bridge = await start(bundles.bridge, { control: socket });
    expect(bridge.status).toBe("bridge");
    return { bridge, control: await Control.over(bridge.carrier, options) };
  };
  const openTo = async (control: Control, port: number): Promise<number> => {
    const { bound } = await control.peer.request(openForward, forwardTo(port));
    return bound[0]?.kind === "tcp" ? bound[0].port : 0;
  };
  const echo = async (socket: net.Socket, text: string) => {
    socket.write(text);
    const [data] = await once(socket, "data");
    expect(String(data)).toBe(text);
  };

  const ask = (socketPath: string, page: string, body?: object) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const method = body === undefined ? "GET" : "POST";
      const request = http.request({ socketPath, path: page, method }, async (response) => {
        resolve({ status: response.statusCode ?? 0, text: await readText(response) });
      });
      request.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
    });

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
    expect(agent).toMatchObject({ session: "test", run: NONCE, control: socket });
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
      resident: { run: NONCE, control: `${runtimeFolder}/farside/test.sock` },
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
    expect(await again.control.peer.request(stopAgent, { graceMs: 0 })).toEqual({ relaysCut: 0 });
    expect((await once(again.bridge.child, "exit"))[0]).toBe(0);
    expect(again.control.of(agentEnding)).toEqual([{ reason: "stopped" }]);
    await nothingLeft(pid);
    expect(await isListening(port)).toBe(false);
  });

  test("ends when its lease is over and nobody has come back, and leaves nothing", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    const { launcher, control, pid } = await launch({ hello: { leaseMs: 1000 } });
    const port = await openTo(control, service.port);
    const relay = await client(port);
    await echo(relay, "!");
    const cut = expect(readAll(relay)).rejects.toMatchObject({ code: "ECONNRESET" });
    launcher.child.kill("SIGKILL");
    await cut;
    await nothingLeft(pid);
  });

  test("lives without a lease once it is detached, to the end of its ttl", async () => {
    const { launcher, control, pid, socket } = await launch({ hello: { leaseMs: 1000, ttlMs: 3000 } });
    const startedAt = performance.now();
    expect(await control.peer.request(detachAgent, {})).toEqual({});
    launcher.child.kill("SIGKILL");
    await expect.poll(() => performance.now() - startedAt, { timeout: 5_000 }).toBeGreaterThan(2_000);
    const asker = await attach(socket, {});
    expect(await asker.control.peer.request(describeAgent, {})).toMatchObject({ forwards: [] });
    await nothingLeft(pid);
    expect(performance.now() - startedAt).toBeGreaterThan(2_500);
    expect(asker.control.of(agentEnding)).toEqual([]);
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

  test("ends where nobody says hello to it, and says why it could not start", async () => {
    const { control, pid, socket } = await launch({});
    expect(existsSync(socket)).toBe(true);
    const second = await start(bundles.agent, { job: "launch", session: "test" });
    expect(second.status).toMatch(/^launch-failed:.*session\.name-in-use/);
    await control.peer.request(stopAgent, { graceMs: 0 });
    await nothingLeft(pid);
  });

  test("takes over the socket of one that was killed", async () => {
    const first = await launch();
    process.kill(first.pid, "SIGKILL");
    await first.control.peer.closed;
    expect(existsSync(first.socket)).toBe(true);
    const gone = await start(bundles.bridge, { control: first.socket });
    expect(gone.status).toMatch(/^no-agent:/);
    const { control, pid } = await launch();
    await control.peer.request(stopAgent, { graceMs: 0 });
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
    const refused = await client(port);
    await readAll(refused).catch(() => undefined);
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
