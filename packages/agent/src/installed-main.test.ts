import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { applyConfig, describeInstalled, type InstalledConfig, upgradeInstalled } from "@farside/protocol";
import { verifyAudit } from "@farside/protocol/audit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { bundlePath } from "./installed/agent-folder.ts";
import { CODE_CACHE } from "./installed/start-text.ts";
import { type BuiltBundle, buildBundle, oldestNode } from "./testing/build-bundle.ts";
import {
  freePort,
  InstalledUnderTest,
  keptConfig,
  keptForward,
  processesOf,
} from "./testing/installed-process.ts";
import { connect, readAll, serveTcp, type TestServer } from "./testing/tcp.ts";

let bundle: BuiltBundle;
let echo: TestServer;
const agents: InstalledUnderTest[] = [];

beforeAll(async () => {
  bundle = await buildBundle("installed-agent");
  echo = await serveTcp((socket) => socket.pipe(socket));
}, 60_000);
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent[Symbol.asyncDispose]();
});
afterAll(async () => {
  await bundle[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
});

async function put(config: InstalledConfig): Promise<InstalledUnderTest> {
  const agent = await InstalledUnderTest.put(bundle.path, config);
  agents.push(agent);
  return agent;
}

/** Another bundle in the agent's folder: the same program, with another digest. */
async function putNext(
  agent: InstalledUnderTest,
  program = readFileSync(bundle.path, "utf8"),
): Promise<string> {
  const next = bundlePath(agent.places, "2".repeat(64));
  await writeFile(next, `${program}\n// another\n`);
  return next;
}

/** `place`: a port of 127.0.0.1, or a socket's path. */
async function answer(place: number | string, text = "hello"): Promise<string> {
  const socket = await connect(
    typeof place === "number" ? { host: "127.0.0.1", port: place } : { path: place },
  );
  socket.end(text);
  return (await readAll(socket)).toString();
}

/** A relay that is used throughout. */
async function longRelay(port: number) {
  const socket = await connect({ host: "127.0.0.1", port });
  let broken: Error | undefined;
  socket.on("close", () => {
    broken ??= new Error("the relay was cut");
  });
  return {
    async say(text: string): Promise<string> {
      if (broken !== undefined) throw broken;
      socket.write(text);
      const [chunk] = (await once(socket, "data")) as [Buffer];
      return chunk.toString();
    },
    isCut: () => broken !== undefined,
    end: () => socket.destroy(),
  };
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

describe("an installed agent", () => {
  test("opens what its configuration says, privately, and says what it does to who asks", async () => {
    const port = await freePort();
    const agent = await put(keptConfig(keptForward("a", port, echo.port)));
    await agent.start({ node: await oldestNode() });
    expect(await answer(port)).toBe("hello");
    expect(statSync(agent.places.control).mode & 0o777).toBe(0o600);
    const control = await agent.control();
    expect((await control.hello).capabilities).toContain("installed");
    const described = await control.peer.request(describeInstalled, {});
    expect(described.forwards).toMatchObject([{ id: "a", state: { phase: "open" }, totalRelays: 1 }]);
    process.kill(agent.pid, "SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);
    expect(existsSync(agent.places.control)).toBe(false);
  });

  test("keeps what V8 has compiled of it for its next start, and is idle below 60 MB soon after", async () => {
    const agent = await put(keptConfig(keptForward("a", await freePort(), echo.port)));
    const kept = () =>
      readdirSync(agent.places.folder).filter((file) => CODE_CACHE.test(file) && file.endsWith(".cache"));
    await agent.start();
    await expect.poll(kept, { timeout: 20_000 }).toHaveLength(1);
    const cache = path.join(agent.places.folder, kept()[0] ?? "");
    expect(statSync(cache).mode & 0o777).toBe(0o600);
    process.kill(agent.pid, "SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);
    const ready = () => agent.log.match(/"wasCompiled":(?:true|false)/g);
    expect(ready()).toEqual(['"wasCompiled":false']);
    rmSync(agent.places.agentLock);
    await agent.start();
    await expect.poll(ready).toEqual(['"wasCompiled":false', '"wasCompiled":true']);
    // V8 gives back what the start took some seconds later.
    await expect.poll(() => residentBytes(agent.pid), { timeout: 30_000 }).toBeLessThan(60_000_000);
  }, 60_000);

  test("writes down what it does, and tells the newest line, which shows what is done to the log afterwards", async () => {
    const port = await freePort();
    const agent = await put(keptConfig(keptForward("a", port, echo.port)));
    await agent.start();
    expect(await answer(port)).toBe("hello");
    const control = await agent.control();
    const head = async () =>
      (await control.peer.request(describeInstalled, {})).audit ?? { seq: 0, hash: "" };
    await expect.poll(async () => (await head()).seq).toBe(3);
    const known = [await head()];
    process.kill(agent.pid, "SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);
    const { folder } = agent.places;
    const file = `${folder}/audit.jsonl`;
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: "start", pid: agent.pid },
      { event: "bind", forward: "a", bind: [`127.0.0.1:${port}`] },
      { event: "relay", forward: "a", uid: process.getuid?.() },
      { event: "stop", reason: "signal" },
    ]);
    expect(await verifyAudit(folder, known)).toMatchObject({ lines: 4, findings: [] });
    rmSync(`${folder}/audit.head`);
    writeFileSync(file, `${lines.slice(0, 2).join("\n")}\n`);
    expect((await verifyAudit(folder, known)).findings).toMatchObject([{ kind: "missing", seq: 3 }]);
  });

  test("answers for its metrics on the port of its configuration, and on another when that is changed", async () => {
    const [port, first, second] = [await freePort(), await freePort(), await freePort()];
    const taken = await serveTcp(undefined, { host: "127.0.0.1", port: second });
    const config = keptConfig(keptForward("a", port, echo.port));
    const agent = await put({ ...config, metricsPort: first });
    await agent.start({ node: await oldestNode() });
    const relay = await longRelay(port);
    expect(await relay.say("before")).toBe("before");
    expect(await metrics(first)).toContain('farside_forward_state{forward="a",state="open"} 1');
    expect(await (await fetch(`http://127.0.0.1:${first}/healthz`)).json()).toMatchObject({ status: "ok" });
    const control = await agent.control();
    const bound = async () => (await control.peer.request(describeInstalled, {})).metrics;
    expect(await bound()).toEqual({ bound: loopback(first) });
    const applied = await control.peer.request(applyConfig, {
      config: { ...config, metricsPort: second },
      graceMs: 0,
    });
    expect(applied).toMatchObject({
      changes: [{ id: "a", change: "unchanged" }],
      metricsError: { code: "forward.port-in-use", leg: "bind" },
    });
    await expect(fetch(`http://127.0.0.1:${first}/metrics`)).rejects.toThrow();
    expect(await bound()).toMatchObject({ bound: [], error: { code: "forward.port-in-use" } });
    await taken[Symbol.asyncDispose]();
    await expect.poll(bound, { timeout: 10_000 }).toEqual({ bound: loopback(second) });
    expect(await metrics(second)).toContain('farside_forward_open_relays{forward="a"} 1');
    await control.peer.request(applyConfig, { config, graceMs: 0 });
    expect(await bound()).toBeUndefined();
    await expect(fetch(`http://127.0.0.1:${second}/metrics`)).rejects.toThrow();
    expect(await relay.say("after")).toBe("after");
    relay.end();
  });

  test("keeps trying to open what it can't, and does not start with a file that is none", async () => {
    const taken = await serveTcp();
    const agent = await put(keptConfig(keptForward("a", taken.port, echo.port)));
    await agent.start();
    const control = await agent.control();
    const { forwards } = await control.peer.request(describeInstalled, {});
    expect(forwards).toMatchObject([
      { state: { phase: "opening", lastError: { code: "forward.port-in-use", leg: "bind" } } },
    ]);
    await taken[Symbol.asyncDispose]();
    await expect.poll(() => answer(taken.port).catch(() => ""), { timeout: 10_000 }).toBe("hello");

    const broken = await put(keptConfig(keptForward("a", 1, 1)));
    await writeFile(broken.places.config, "{}");
    await expect(broken.start()).rejects.toThrow(/config\.invalid/);
  });

  test("apply with one forward of five changed leaves the relays of the other four alone", async () => {
    const ports = await Promise.all(Array.from({ length: 5 }, freePort));
    const other = await serveTcp((socket) => socket.end("other"));
    const forwards = ports.map((port, index) => keptForward(`f${index}`, port, echo.port));
    const agent = await put(keptConfig(...forwards));
    await agent.start();
    const relays = await Promise.all(ports.map(longRelay));
    for (const relay of relays) expect(await relay.say("before")).toBe("before");
    const changed = forwards.map((each, index) =>
      index === 2 ? keptForward("f2", ports[2] ?? 0, other.port) : each,
    );
    const control = await agent.control();
    const { changes } = await control.peer.request(applyConfig, {
      config: keptConfig(...changed),
      graceMs: 100,
    });
    expect(changes.map(({ change }) => change)).toEqual([
      "unchanged",
      "unchanged",
      "changed",
      "unchanged",
      "unchanged",
    ]);
    expect(await answer(ports[2] ?? 0)).toBe("other");
    await expect.poll(() => relays[2]?.isCut(), { timeout: 5_000 }).toBe(true);
    for (const [index, relay] of relays.entries())
      if (index !== 2) expect(await relay.say("after")).toBe("after");
    // And it is what a restart goes by.
    expect(JSON.parse(readFileSync(agent.places.config, "utf8"))).toEqual(keptConfig(...changed));
    const { changes: none } = await control.peer.request(applyConfig, {
      config: keptConfig(...changed),
      graceMs: 0,
    });
    expect(none.every(({ change }) => change === "unchanged")).toBe(true);
    for (const relay of relays) relay.end();
    await other[Symbol.asyncDispose]();
  });

  test("an upgrade under 200 connections a second refuses none, and relays that are open go on", async () => {
    const [port, metricsPort] = [await freePort(), await freePort()];
    const agent = await put(keptConfig());
    const socket = path.join(agent.places.folder, "f.sock");
    const onSocket = keptForward("b", 1, echo.port, { bind: { kind: "unix", path: socket } });
    const config = { ...keptConfig(keptForward("a", port, echo.port), onSocket), metricsPort };
    await writeFile(agent.places.config, JSON.stringify(config));
    await agent.start();
    const cache = path.join(agent.places.folder, `agent-${"a".repeat(16)}-${"b".repeat(16)}.cache`);
    await writeFile(cache, "compiled");
    const before = agent.pid;
    const relay = await longRelay(port);
    let asked = 0;
    const askInTurn = () => {
      asked += 1;
      return answer(asked % 2 === 0 ? port : socket, "x");
    };
    const load = startLoad(200, askInTurn, "x");
    const watch = startLoad(5, async () => (await metrics(metricsPort)).slice(0, 6), "# HELP");
    await load.reached(100);
    const next = await putNext(agent);
    const control = await agent.control();
    const { pid } = await control.peer.request(upgradeInstalled, { bundle: next, graceMs: 30_000 });
    expect(pid).not.toBe(before);
    await expect.poll(() => agent.pid, { timeout: 20_000 }).toBe(pid);
    await load.reached(load.started + 200);
    expect(await load.stop()).toEqual({ failures: [] });
    expect(await watch.stop()).toEqual({ failures: [] });
    expect(await relay.say("still here")).toBe("still here");
    // The old process goes when its last relay does; a restart takes the new bundle, and nothing compiled of the old one.
    expect(existsSync(cache)).toBe(false);
    expect(processesOf(agent.places.folder)).toContain(before);
    relay.end();
    await expect
      .poll(() => processesOf(agent.places.folder).includes(before), { timeout: 10_000 })
      .toBe(false);
    expect(readlinkSync(agent.places.program)).toBe(path.basename(next));
    expect(existsSync(agent.bundle)).toBe(false);
    const described = await (await agent.control()).peer.request(describeInstalled, {});
    expect(described).toMatchObject({
      forwards: [
        { id: "a", state: { phase: "open" } },
        { id: "b", state: { phase: "open" } },
      ],
      metrics: { bound: loopback(metricsPort) },
    });
    process.kill(pid, "SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);

    // Both wrote to the audit log while both served: one chain, and not a line is missing.
    const { folder } = agent.places;
    const known = described.audit === undefined ? [] : [described.audit];
    expect(await verifyAudit(folder, known)).toMatchObject({ findings: [], notes: [] });
    const lines = readFileSync(`${folder}/audit.jsonl`, "utf8").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { event: string; pid?: number });
    expect(events.filter(({ event }) => event === "relay")).toHaveLength(load.started + 1);
    const marks = events.filter(({ pid: of }) => of !== undefined);
    expect(marks.map(({ event, pid: of }) => `${event} ${of === pid ? "new" : "old"}`)).toEqual([
      "start old",
      "start new",
      "upgraded new",
      "stop old",
      "stop new",
    ]);
  }, 60_000);

  test("an upgrade to a bundle that does not start changes nothing", async () => {
    const port = await freePort();
    const agent = await put(keptConfig(keptForward("a", port, echo.port)));
    await agent.start();
    const control = await agent.control();
    const next = await putNext(agent, "process.exit(3);");
    const upgrade = control.peer.request(upgradeInstalled, { bundle: next, graceMs: 0 });
    await expect(upgrade).rejects.toMatchObject({ code: "agent.start-failed" });
    expect(await answer(port)).toBe("hello");
    expect(await control.peer.request(describeInstalled, {})).toMatchObject({
      forwards: [{ state: { phase: "open" } }],
    });
  });

  test("a unix socket is handed over too, goes with the last process, and one that was left is taken over", async () => {
    const agent = await put(keptConfig(keptForward("a", 1, echo.port)));
    const socket = path.join(agent.places.folder, "f.sock");
    const config = keptConfig(keptForward("a", 1, echo.port, { bind: { kind: "unix", path: socket } }));
    await writeFile(agent.places.config, JSON.stringify(config));
    await agent.start();
    const inode = lstatSync(socket).ino;
    const control = await agent.control();
    const { pid } = await control.peer.request(upgradeInstalled, {
      bundle: await putNext(agent),
      graceMs: 0,
    });
    await expect.poll(() => processesOf(agent.places.folder), { timeout: 20_000 }).toEqual([pid]);
    expect(lstatSync(socket).ino).toBe(inode);
    expect(await answer(socket)).toBe("hello");
    process.kill(pid, "SIGKILL");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);
    expect(existsSync(socket)).toBe(true);
    rmSync(agent.places.agentLock);
    await agent.start();
    expect(await answer(socket)).toBe("hello");
    expect(agent.log).toContain("a port was taken over");
    process.kill(agent.pid, "SIGTERM");
    await expect.poll(() => existsSync(socket)).toBe(false);
  });
});

describe("the supervisor of a host without systemd", () => {
  test("starts the agent again after a crash, is one at a time, and ends with it", async () => {
    const port = await freePort();
    const agent = await put(keptConfig(keptForward("a", port, echo.port)));
    const supervisor = await agent.start({ verb: "supervise" });
    const first = agent.pid;
    process.kill(first, "SIGKILL");
    await agent.restarted(first);
    expect(await answer(port)).toBe("hello");
    const second = await agent.start({ verb: "supervise" });
    if (second.exitCode === null) await once(second, "exit");
    expect(second.exitCode).toBe(0);
    // An upgrade leaves a process that is no child of the supervisor's; it is minded all the same.
    const control = await agent.control();
    const { pid } = await control.peer.request(upgradeInstalled, {
      bundle: await putNext(agent),
      graceMs: 0,
    });
    await expect.poll(() => agent.pid, { timeout: 20_000 }).toBe(pid);
    await expect.poll(() => processesOf(agent.places.folder).length).toBe(2);
    process.kill(pid, "SIGKILL");
    await agent.restarted(pid);
    supervisor.kill("SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder), { timeout: 10_000 }).toEqual([]);
  }, 60_000);
});

/** What the agent says on its port for metrics. */
async function metrics(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function loopback(port: number) {
  return ["127.0.0.1", "::1"].map((address) => ({ kind: "tcp", address, port }));
}

/** Asks `perSecond` times a second, and must be answered `wanted` each time. */
function startLoad(perSecond: number, ask: () => Promise<string>, wanted: string) {
  const failures: string[] = [];
  const open = new Set<Promise<void>>();
  let started = 0;
  const from = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - from) / 1000) * perSecond; started < due; started += 1) {
      const one: Promise<void> = ask()
        .then((text) => {
          if (text !== wanted) failures.push(`got ${JSON.stringify(text)}`);
        })
        .catch((error: Error) => void failures.push(`${error.message} ${error.cause ?? ""}`))
        .finally(() => open.delete(one));
      open.add(one);
    }
  }, 5);
  return {
    get started() {
      return started;
    },
    reached: (count: number) => expect.poll(() => started, { timeout: 20_000 }).toBeGreaterThanOrEqual(count),
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return { failures };
    },
  };
}
