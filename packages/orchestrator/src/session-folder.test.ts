import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processStart } from "@farside/protocol/process-start";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SessionFolder } from "./session-folder.ts";
import { checkSessionName, generateSessionName } from "./session-name.ts";
import { listSessions, readSession } from "./session-store.ts";
import { stateFolder } from "./state-folder.ts";

let root: string;
beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), "farside-store-")), "farside");
});
afterEach(async () => {
  await rm(join(root, ".."), { recursive: true, force: true });
});

const create = (name = "calm-otter-3f9a", options = {}) =>
  SessionFolder.create(root, { name, jump: "build", host: "builder@build" }, options);
const nonce = "0".repeat(32);

describe("a session's folder", () => {
  it("is private, and shows the session to others while it lives", async () => {
    const folder = await create();
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    expect((await stat(folder.path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder.path, "session.json"))).mode & 0o777).toBe(0o600);
    const [session] = await listSessions(root);
    expect(session).toMatchObject({
      isLive: true,
      record: { name: "calm-otter-3f9a", pid: process.pid },
      undo: [],
    });
  });

  it("has what is about to be made before it is made", async () => {
    const folder = await create();
    await folder.making({ made: "agent", nonce });
    await folder.making({ made: "listener", port: 4444 });
    await folder.making({ made: "listener", port: 5555 });
    await folder.undone({ made: "listener", port: 5555 });
    await folder.making({ made: "socket", path: "/tmp/a\nb" });
    await appendFile(join(folder.path, "undo.jsonl"), '{"made":"lis');
    expect((await readSession(root, "calm-otter-3f9a"))?.undo).toEqual(folder.undo);
    expect(folder.undo).toEqual([
      { made: "agent", nonce },
      { made: "listener", port: 4444 },
      { made: "socket", path: "/tmp/a\nb" },
    ]);
    expect((await stat(join(folder.path, "undo.jsonl"))).mode & 0o777).toBe(0o600);
  });

  it("follows changes once an interval, and is gone after a clean end", async () => {
    const folder = await create("a", { intervalMs: 10 });
    for (let relays = 1; relays <= 50; relays += 1) folder.update({ totalRelays: relays });
    expect((await readSession(root, "a"))?.record.totalRelays).toBe(0);
    await expect.poll(async () => (await readSession(root, "a"))?.record.totalRelays).toBe(50);
    folder.update({ totalRelays: 51 });
    await folder.finish({ phase: "closed" }, true);
    expect(await readdir(root)).toEqual([]);
  });

  it("is brought up to date at once for whoever is told of something next", async () => {
    const folder = await create("a", { intervalMs: 3_600_000 });
    folder.update({ phase: "ready" });
    await folder.saved();
    expect((await readSession(root, "a"))?.record.phase).toBe("ready");
    await folder.saved();
    await folder.finish({}, true);
  });

  it("asks for what changes often when it is written, at the end too", async () => {
    const folder = await create("a", { intervalMs: 10 });
    let totalRelays = 0;
    let asked = 0;
    const count = () => {
      asked += 1;
      return { totalRelays };
    };
    for (totalRelays = 1; totalRelays < 50; totalRelays += 1) folder.updateLate(count);
    await expect.poll(async () => (await readSession(root, "a"))?.record.totalRelays).toBe(50);
    expect(asked).toBe(1);
    totalRelays = 51;
    folder.updateLate(count);
    await folder.finish({ phase: "closed" }, false);
    expect((await readSession(root, "a"))?.record.totalRelays).toBe(51);
  });

  it("stays with its receipt where something is left", async () => {
    const folder = await create("a");
    const receipt = { session: "a", host: "h", processes: ["p"], listeners: [], files: [], clean: false };
    folder.update({ totalRelays: 7 });
    await folder.finish({ phase: "closed", receipt }, false);
    expect((await readSession(root, "a"))?.record).toMatchObject({
      receipt,
      totalRelays: 7,
      phase: "closed",
    });
    expect(await readdir(folder.path)).toEqual(["session.json"]);
  });

  it("keeps its name from others while it lives", async () => {
    await create("a");
    await expect(create("a")).rejects.toMatchObject({ code: "session.name-in-use" });
  });

  it("gives its name away once its orchestrator is dead, also when another process has its pid", async () => {
    const dead = spawn("true");
    await once(dead, "exit");
    const folder = await create("a");
    for (const owner of [{ pid: dead.pid }, { pid: process.pid, start: "1" }]) {
      await writeFile(join(folder.path, "session.json"), JSON.stringify({ ...folder.record, ...owner }));
      await folder.making({ made: "agent", nonce });
      expect((await readSession(root, "a"))?.isLive).toBe(false);
      await create("a");
      expect(await readSession(root, "a")).toMatchObject({ isLive: true, undo: [] });
    }
  });

  it("says so where it can't be made", async () => {
    await writeFile(join(root, "..", "file"), "");
    root = join(root, "..", "file", "farside");
    await expect(create("a")).rejects.toMatchObject({ code: "config.invalid" });
  });

  it("is not mistaken for what somebody else left there", async () => {
    await mkdir(join(root, "empty"), { recursive: true });
    await mkdir(join(root, "other"));
    await writeFile(join(root, "other", "session.json"), '{"version":1,"name":"x"}');
    await writeFile(join(root, "file"), "");
    expect(await listSessions(root)).toEqual([]);
    expect(await listSessions(join(root, "missing"))).toEqual([]);
  });
});

describe("names and places", () => {
  it("are generated so that they are valid, and differ", () => {
    const names = new Set(Array.from({ length: 200 }, generateSessionName));
    expect(names.size).toBeGreaterThan(190);
    for (const name of names) expect(checkSessionName(name)).toMatch(/^[a-z]+-[a-z]+-[0-9a-f]{4}$/);
  });

  it.each(["", ".", "..", "-a", "a/b", "a b", "ä", "x".repeat(65), "a\n"])("refuse %j", (name) => {
    expect(() => checkSessionName(name)).toThrow(/cannot name a session/);
  });

  it("follow XDG_STATE_HOME where it is absolute", () => {
    expect(stateFolder({ XDG_STATE_HOME: "/x" })).toBe("/x/farside");
    expect(stateFolder({ XDG_STATE_HOME: "x" })).toMatch(/\/\.local\/state\/farside$/);
  });
});

describe("the start of a process", () => {
  it("tells one process from the next with its pid", async () => {
    expect(await processStart(process.pid)).toBe(await processStart(process.pid));
    expect(await processStart(1)).not.toBe(await processStart(process.pid));
    const child = spawn("true");
    await once(child, "exit");
    expect(await processStart(child.pid ?? 0)).toBeUndefined();
    expect(await readFile("/proc/self/stat", "utf8")).toContain(String(process.pid));
  });
});
