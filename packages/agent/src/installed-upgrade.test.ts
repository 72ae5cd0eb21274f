import { once } from "node:events";
import { existsSync, lstatSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describeInstalled, upgradeInstalled } from "@farside/protocol";
import { verifyAudit } from "@farside/protocol/audit";
import { freePort } from "@farside/ssh/testing";
import { describe, expect, test } from "vitest";
import { keptConfig, keptForward, processesOf } from "./testing/installed-process.ts";
import { answer, bothLoopbacks, longRelay, metrics, startLoad } from "./testing/traffic.ts";
import { useInstalledAgent } from "./testing/use-installed-agent.ts";

const installed = useInstalledAgent();

describe("an upgrade of an installed agent", () => {
  test("under 200 connections a second refuses none, and relays that are open go on", async () => {
    const [port, metricsPort] = [await freePort(), await freePort()];
    const agent = await installed.put(keptConfig());
    const socket = path.join(agent.places.folder, "f.sock");
    const onSocket = keptForward("b", 1, installed.echoPort, { bind: { kind: "unix", path: socket } });
    const config = { ...keptConfig(keptForward("a", port, installed.echoPort), onSocket), metricsPort };
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
    const next = await installed.putNext(agent);
    const control = await agent.control();
    const { pid } = await control.peer.request(upgradeInstalled, { bundle: next, graceMs: 30_000 });
    expect(pid).not.toBe(before);
    await expect.poll(() => agent.pid).toBe(pid);
    await load.reached(load.started + 200);
    expect(await load.stop()).toEqual({ failures: [] });
    expect(await watch.stop()).toEqual({ failures: [] });
    expect(await relay.say("still here")).toBe("still here");
    // The old process goes when its last relay does; a restart takes the new bundle, and nothing compiled of the old one.
    expect(existsSync(cache)).toBe(false);
    expect(processesOf(agent.places.folder)).toContain(before);
    relay.end();
    await expect.poll(() => processesOf(agent.places.folder).includes(before)).toBe(false);
    expect(readlinkSync(agent.places.program)).toBe(path.basename(next));
    expect(existsSync(agent.bundle)).toBe(false);
    const described = await (await agent.control()).peer.request(describeInstalled, {});
    expect(described).toMatchObject({
      forwards: [
        { id: "a", state: { phase: "open" } },
        { id: "b", state: { phase: "open" } },
      ],
      metrics: { bound: bothLoopbacks(metricsPort) },
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
  });

  test("to a bundle that does not start changes nothing", async () => {
    const port = await freePort();
    const agent = await installed.put(keptConfig(keptForward("a", port, installed.echoPort)));
    await agent.start();
    const control = await agent.control();
    const next = await installed.putNext(agent, "process.exit(3);");
    const upgrade = control.peer.request(upgradeInstalled, { bundle: next, graceMs: 0 });
    await expect(upgrade).rejects.toMatchObject({ code: "agent.start-failed" });
    expect(await answer(port)).toBe("hello");
    expect(await control.peer.request(describeInstalled, {})).toMatchObject({
      forwards: [{ state: { phase: "open" } }],
    });
  });

  test("hands a unix socket over too, which goes with the last process, and one that was left is taken over", async () => {
    const agent = await installed.put(keptConfig(keptForward("a", 1, installed.echoPort)));
    const socket = path.join(agent.places.folder, "f.sock");
    const config = keptConfig(
      keptForward("a", 1, installed.echoPort, { bind: { kind: "unix", path: socket } }),
    );
    await writeFile(agent.places.config, JSON.stringify(config));
    await agent.start();
    const inode = lstatSync(socket).ino;
    const control = await agent.control();
    const { pid } = await control.peer.request(upgradeInstalled, {
      bundle: await installed.putNext(agent),
      graceMs: 0,
    });
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([pid]);
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
    const agent = await installed.put(keptConfig(keptForward("a", port, installed.echoPort)));
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
      bundle: await installed.putNext(agent),
      graceMs: 0,
    });
    await expect.poll(() => agent.pid).toBe(pid);
    await expect.poll(() => processesOf(agent.places.folder).length).toBe(2);
    process.kill(pid, "SIGKILL");
    await agent.restarted(pid);
    supervisor.kill("SIGTERM");
    await expect.poll(() => processesOf(agent.places.folder)).toEqual([]);
  });
});
