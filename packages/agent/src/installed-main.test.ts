import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { applyConfig, describeInstalled } from "@farside/protocol";
import { verifyAudit } from "@farside/protocol/audit";
import { freePort } from "@farside/ssh/testing";
import { describe, expect, test } from "vitest";
import { CODE_CACHE } from "./installed/start-text.ts";
import { oldestNode } from "./testing/build-bundle.ts";
import { keptConfig, keptForward, processesOf } from "./testing/installed-process.ts";
import { serveTcp } from "./testing/tcp.ts";
import { answer, bothLoopbacks, longRelay, metrics } from "./testing/traffic.ts";
import { useInstalledAgent } from "./testing/use-installed-agent.ts";

const installed = useInstalledAgent();

describe("an installed agent", () => {
  test("opens what its configuration says, privately, and says what it does to who asks", async () => {
    const port = await freePort();
    const agent = await installed.put(keptConfig(keptForward("a", port, installed.echoPort)));
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
    const agent = await installed.put(keptConfig(keptForward("a", await freePort(), installed.echoPort)));
    const kept = () =>
      readdirSync(agent.places.folder).filter((file) => CODE_CACHE.test(file) && file.endsWith(".cache"));
    await agent.start();
    await expect.poll(kept).toHaveLength(1);
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
  });

  test("writes down what it does, and tells the newest line, which shows what is done to the log afterwards", async () => {
    const port = await freePort();
    const agent = await installed.put(keptConfig(keptForward("a", port, installed.echoPort)));
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
    const config = keptConfig(keptForward("a", port, installed.echoPort));
    const agent = await installed.put({ ...config, metricsPort: first });
    await agent.start({ node: await oldestNode() });
    const relay = await longRelay(port);
    expect(await relay.say("before")).toBe("before");
    expect(await metrics(first)).toContain('farside_forward_state{forward="a",state="open"} 1');
    expect(await (await fetch(`http://127.0.0.1:${first}/healthz`)).json()).toMatchObject({ status: "ok" });
    const control = await agent.control();
    const bound = async () => (await control.peer.request(describeInstalled, {})).metrics;
    expect(await bound()).toEqual({ bound: bothLoopbacks(first) });
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
    await expect.poll(bound).toEqual({ bound: bothLoopbacks(second) });
    expect(await metrics(second)).toContain('farside_forward_open_relays{forward="a"} 1');
    await control.peer.request(applyConfig, { config, graceMs: 0 });
    expect(await bound()).toBeUndefined();
    await expect(fetch(`http://127.0.0.1:${second}/metrics`)).rejects.toThrow();
    expect(await relay.say("after")).toBe("after");
    relay.end();
  });

  test("keeps trying to open what it can't, and does not start with a file that is none", async () => {
    const taken = await serveTcp();
    const metricsPort = await freePort();
    const config = keptConfig(keptForward("a", taken.port, installed.echoPort));
    const agent = await installed.put({ ...config, metricsPort });
    await agent.start();
    const health = async () => {
      const answered = await fetch(`http://127.0.0.1:${metricsPort}/healthz`);
      return [answered.status, await answered.json()];
    };
    await expect
      .poll(() => health().catch(() => undefined))
      .toMatchObject([503, { forwards: [{ id: "a", state: "opening" }] }]);
    expect(await metrics(metricsPort)).toContain('farside_forward_state{forward="a",state="opening"} 1');
    const control = await agent.control();
    const { forwards } = await control.peer.request(describeInstalled, {});
    expect(forwards).toMatchObject([
      { state: { phase: "opening", lastError: { code: "forward.port-in-use", leg: "bind" } } },
    ]);
    await taken[Symbol.asyncDispose]();
    await expect.poll(() => answer(taken.port).catch(() => "")).toBe("hello");
    expect(await health()).toMatchObject([200, { status: "ok", forwards: [{ id: "a", state: "open" }] }]);

    const broken = await installed.put(keptConfig(keptForward("a", 1, 1)));
    await writeFile(broken.places.config, "{}");
    await expect(broken.start()).rejects.toThrow(/config\.invalid/);
  });

  test("apply with one forward of five changed leaves the relays of the other four alone", async () => {
    const ports = await Promise.all(Array.from({ length: 5 }, freePort));
    const other = await serveTcp((socket) => socket.end("other"));
    const forwards = ports.map((port, index) => keptForward(`f${index}`, port, installed.echoPort));
    const agent = await installed.put(keptConfig(...forwards));
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
    await expect.poll(() => relays[2]?.isCut()).toBe(true);
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
});

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}
