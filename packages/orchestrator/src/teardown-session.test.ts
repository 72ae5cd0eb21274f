import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { processStart } from "@farside/protocol/process-start";
import { connectChain, KeyFileIdentity, PinnedHostKeys } from "@farside/ssh";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ForwardOptions } from "./forward-options.ts";
import { SessionFolder } from "./session-folder.ts";
import { readSession } from "./session-store.ts";
import { type TeardownOptions, teardownSession } from "./teardown-session.ts";
import { type BuiltAgent, buildAgent, buildCheckoutAgent } from "./testing/build-agent.ts";
import { type JumpHost, startJumpHost } from "./testing/jump-host.ts";
import { sessionFolders } from "./testing/session-folders.ts";
import { codeOf } from "./testing/session-probe.ts";

let agent: BuiltAgent;
let host: JumpHost;
let children: ChildProcess[];
beforeAll(async () => {
  agent = await buildAgent();
});
afterAll(() => agent[Symbol.asyncDispose]());
beforeEach(async () => {
  host = await startJumpHost(agent.bundle);
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await host[Symbol.asyncDispose]();
});

const state = () => host.sshd.folder.file("state");

/** Runs a program of this checkout from its source. */
function run(path: string, args: string[]): ChildProcess & { stdout: NonNullable<ChildProcess["stdout"]> } {
  const program = fileURLToPath(new URL(path, import.meta.url));
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=@farside/source", program, ...args],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, XDG_STATE_HOME: state() },
    },
  );
  children.push(child);
  return child;
}

/** A session in another process; resolves when it is ready. */
async function startOther(name: string, more: Partial<ForwardOptions> = {}) {
  const { events: _, onEvent: __, bundle: ___, ...options } = host.options({ name, ...more });
  const folder = agent.bundle.path.replace(/agent\.cjs$/, "");
  const child = run("testing/orchestrator-process.ts", [JSON.stringify(options), folder]);
  const [line] = await once(child.stdout, "data");
  return { child, ...(JSON.parse(String(line)) as { name: string }) };
}

const connect: NonNullable<TeardownOptions["connect"]> = async (_session, signal) => {
  const { sshd } = host;
  const hostKeys = new PinnedHostKeys(sshd.hostKeys.map(({ publicKey }) => publicKey.blob));
  const identity = await KeyFileIdentity.open({ files: [sshd.userKey.path] });
  return connectChain(
    [{ user: sshd.user, host: sshd.host, port: sshd.port, leg: "jump", identity, hostKeys }],
    { signal },
  );
};

describe("a teardown", () => {
  it("lets a live orchestrator tear down itself", async () => {
    const { child } = await startOther("live");
    const ended = once(child, "exit");
    expect(await teardownSession("live", { stateFolder: state() })).toMatchObject({
      session: "live",
      clean: true,
    });
    expect(await ended).toEqual([0, null]);
    expect(await codeOf(teardownSession("live", { stateFolder: state() }))).toBe("session.not-found");
  });

  it.each([0, 2])(
    "tells of %i open relays where an orchestrator is slow, and whoever stops waiting hears of no others",
    async (openRelays) => {
      const ignores = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); console.log('up')";
      const slow = spawn(process.execPath, ["-e", ignores], { stdio: ["ignore", "pipe", "inherit"] });
      children.push(slow);
      await once(slow.stdout, "data");
      const folder = await SessionFolder.create(state(), {
        ...{ name: "slow", jump: "build-1", host: "me@build-1", graceMs: 7_000 },
      });
      const { pid = 0 } = slow;
      const record = { ...folder.record, pid, start: await processStart(pid), openRelays };
      await writeFile(`${folder.path}/session.json`, JSON.stringify(record));
      const giveUp = new AbortController();
      const told: number[][] = [];
      const ended = teardownSession("slow", {
        stateFolder: state(),
        signal: giveUp.signal,
        onSlow: (...what) => {
          told.push(what);
          giveUp.abort();
        },
      });
      await expect(ended).rejects.toMatchObject({
        code: "canceled",
        message: expect.stringMatching(openRelays > 0 ? /its open connections have 7 s$/ : /it goes on$/),
      });
      expect(told).toEqual([[openRelays, 7_000]]);
    },
  );

  it("of a dead orchestrator's session looks at its host, and says so where it can't", async () => {
    const { child } = await startOther("dead");
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    expect((await readSession(state(), "dead"))?.isLive).toBe(false);
    const blind = await teardownSession("dead", { stateFolder: state() });
    expect(blind).toMatchObject({
      clean: false,
      processes: [expect.stringMatching(/nobody can log in to look/)],
    });
    const failing = await teardownSession("dead", {
      stateFolder: state(),
      connect: () => Promise.reject(new Error("no route")),
    });
    expect(failing.processes[0]).toContain("no route");
    expect(await sessionFolders(state())).toEqual(["dead"]);
    expect(await teardownSession("dead", { stateFolder: state(), connect })).toMatchObject({ clean: true });
    expect(await sessionFolders(state())).toEqual([]);
  });

  it("ends what a dead orchestrator has left", async () => {
    const { child } = await startOther("left");
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    const [made] = (await readSession(state(), "left"))?.undo ?? [];
    if (made?.made !== "agent") throw new Error("no agent in the undo log");
    // As an agent would be that does not notice the end of its stdin.
    const left = spawn("sleep", ["60"], { env: { ...process.env, FARSIDE_RUN: made.nonce } });
    children.push(left);
    const gone = once(left, "exit");
    expect(await teardownSession("left", { stateFolder: state(), connect })).toMatchObject({ clean: true });
    expect(await gone).toEqual([null, "SIGTERM"]);
  });

  it("removes the ready file that a killed orchestrator has left, and no other", async () => {
    const readyFile = host.sshd.folder.file("ready.json");
    const { child } = await startOther("told", { readyFile });
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    const left = await readFile(readyFile, "utf8");
    // Somebody else's by now.
    await writeFile(readyFile, left.replace('"told"', '"other"'));
    await teardownSession("told", { stateFolder: state() });
    expect(await readFile(readyFile, "utf8")).toContain('"other"');
    await writeFile(readyFile, left);
    await teardownSession("told", { stateFolder: state() });
    await expect(readFile(readyFile)).rejects.toThrow(/ENOENT/);
  });

  it("never signals a process that only has the pid of the orchestrator", async () => {
    const { child } = await startOther("reused");
    child.kill("SIGKILL");
    await once(child, "exit");
    const file = `${state()}/reused/session.json`;
    const innocent = spawn("sleep", ["60"]);
    children.push(innocent);
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), pid: innocent.pid }));
    expect((await teardownSession("reused", { stateFolder: state() })).clean).toBe(false);
    expect(innocent.killed || innocent.exitCode !== null || innocent.signalCode !== null).toBe(false);
  });

  it("is what the example of the library ends with", async () => {
    const { sshd } = host;
    const config = sshd.folder.file("ssh_config");
    await appendFile(config, `IdentityFile ${sshd.userKey.path}\nIdentityAgent none\n`);
    const jump = `${sshd.user}@127.0.0.1:${sshd.port}`;
    await buildCheckoutAgent();
    const child = run("../examples/library.ts", [jump, "0:127.0.0.1:9", "", config]);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    // With its last output: an exit may be heard of before that.
    expect(await once(child, "close")).toEqual([0, null]);
    expect(output).toMatch(/open: .*"127\.0\.0\.1"/);
    expect(output).toMatch(/receipt: .*"clean":true/);
  });

  it("of what there is not is an error", async () => {
    expect(await codeOf(teardownSession("none", { stateFolder: state() }))).toBe("session.not-found");
    expect(await codeOf(teardownSession("../x", { stateFolder: state() }))).toBe("session.not-found");
  });
});
