import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import {
  agentWarning,
  describeAgent,
  encodeFrame,
  FrameDecoder,
  openForward,
  relayRefused,
  stopAgent,
} from "@farside/protocol";
import { type KeyPair, makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, startWithPreamble } from "./testing/agent-process.ts";
import { client, forwardTo, open, relayed, useBundle } from "./testing/bundle-under-test.ts";
import { hasOtherUsers, NOBODY } from "./testing/other-user.ts";
import { connect, readAll, serveTcp } from "./testing/tcp.ts";
import { within } from "./testing/within.ts";

const shared = useBundle();
let key: KeyPair;
let sshd: Sshd;

beforeAll(async () => {
  key = await makeKeyPair(path.join(shared.folder, "identity"));
  sshd = await startSshd({ authorizedKeys: [key.line] });
});
afterAll(() => sshd[Symbol.asyncDispose]());

test.runIf(hasOtherUsers)(
  "an agent of an ordinary user names the user who holds a port, and refuses root's only",
  async () => {
    await using service = await serveTcp((socket) => socket.end("for nobody and root"));
    const drop = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "env", "-i"];
    const wrap = (command: readonly string[]) => [...drop, ...command];
    await using agent = await AgentProcess.start({ bundle: shared.bundle, wrap });
    expect(agent.hello).toMatchObject({ uid: NOBODY, user: "nobody" });
    const taken = open(agent, 1, { bind: { kind: "loopback", port: service.port } });
    await expect(taken).rejects.toMatchObject({
      code: "forward.port-in-use",
      message: expect.stringContaining("a process of the user root holds the port"),
    });
    const privileged = open(agent, 1, { bind: { kind: "loopback", port: 81 } });
    await expect(privileged).rejects.toMatchObject({
      code: "forward.bind-refused",
      hint: expect.stringContaining("1024"),
    });
    const port = await open(agent, service.port);
    expect((await readAll(await client(port))).toString()).toBe("for nobody and root");
    const program = `require("net").connect(${port}, "127.0.0.1").on("error", (e) => console.log(e.code)).on("data", (d) => console.log(String(d)))`;
    const other = spawn(process.execPath, ["-e", program], { uid: 1, gid: 1, cwd: "/" });
    const [answer] = await once(other.stdout, "data");
    expect(String(answer).trim()).toBe("ECONNRESET");
    expect(await agent.event(relayRefused)).toMatchObject({ uid: 1, reason: "other-user" });
  },
);

test("an agent with few open files serves what it can, resets the rest and survives", async () => {
  await using service = await serveTcp((socket) => socket.pipe(socket));
  const wrap = (command: readonly string[]) => ["prlimit", "--nofile=160:160", ...command];
  await using agent = await AgentProcess.start({ bundle: shared.bundle, wrap });
  const port = await open(agent, service.port);
  const clients = Array.from({ length: 300 }, () => net.connect(port, "127.0.0.1"));
  let served = 0;
  let reset = 0;
  for (const socket of clients) {
    socket.write("!");
    socket.once("data", () => {
      served += 1;
    });
    socket.once("error", () => {
      reset += 1;
    });
  }
  await expect.poll(() => [served > 10, reset > 100]).toEqual([true, true]);
  const { forwards } = await agent.peer.request(describeAgent, {});
  expect(forwards[0]?.openRelays).toBeGreaterThan(10);
  expect(forwards[0]?.openRelays).toBeLessThan(80);
  await agent.event(agentWarning, ({ message }) => message.includes("too many connections wait"));
  for (const socket of clients) socket.destroy();
  await expect
    .poll(async () => (await agent.peer.request(describeAgent, {})).forwards[0]?.openRelays)
    .toBe(0);
  const late = await relayed(port);
  late.destroy();
  await agent.peer.request(stopAgent, { graceMs: 0 });
  expect(await agent.exit()).toEqual([0, null]);
});

test.runIf(hasOtherUsers)("an agent on a host without IPv6 listens on 127.0.0.1 alone", async () => {
  const noIpv6 = 'ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; exec "$@"';
  const wrap = (command: readonly string[]) => ["unshare", "--net", "sh", "-c", noIpv6, "sh", ...command];
  await using agent = await AgentProcess.start({ bundle: shared.bundle, wrap });
  const { bound } = await agent.peer.request(openForward, forwardTo(1));
  expect(bound).toEqual([{ kind: "tcp", address: "127.0.0.1", port: expect.any(Number) }]);
});

test("an agent whose lease expires ends the SSH login that it runs in", async () => {
  const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const options = [
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
  ];
  const login = ["-i", key.path, "-p", `${sshd.port}`, `${sshd.user}@${sshd.host}`];
  const wrap = (command: readonly string[]) => [
    "ssh",
    ...options,
    ...login,
    `exec ${command.map(quoted).join(" ")}`,
  ];
  await using agent = await AgentProcess.start({ bundle: shared.bundle, wrap, hello: { leaseMs: 2500 } });
  const parent = Number(
    /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${agent.hello.pid}/status`, "utf8"))?.[1],
  );
  expect(await readFile(`/proc/${parent}/cmdline`, "utf8")).toMatch(/^sshd(-session)?: /);
  // 69 would be the agent's own exit code: that the login was cut is what 255 says.
  expect(await agent.exit()).toEqual([255, null]);
  await expect.poll(() => [isRunning(parent), isRunning(agent.hello.pid)]).toEqual([false, false]);
});

/** A process that has ended may still wait for its parent. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("an agent whose orchestrator does not read goes on relaying, and tells later how many events were lost", async () => {
  await using service = await serveTcp((socket) => socket.end());
  const { child, rest } = await startWithPreamble({ bundle: shared.bundle });
  try {
    const hello = {
      protocol: 1,
      session: "s",
      leaseMs: 60_000,
      ttlMs: 0,
      idleMs: 0,
      logLevel: "warn",
      capabilities: [],
    };
    child.stdin.write(encodeFrame({ kind: "event", name: "hello.orchestrator", data: hello }));
    const socketPath = path.join(shared.folder, "unread.sock");
    const forward = forwardTo(service.port, { bind: { kind: "unix", path: socketPath } });
    child.stdin.write(encodeFrame({ kind: "request", id: 1, name: "forward.open", params: forward }));
    await expect.poll(() => existsSync(socketPath)).toBe(true);
    // An event or two each: more than the queue and the pipe hold.
    for (let round = 0; round < 40; round += 1) {
      const sockets = await Promise.all(Array.from({ length: 100 }, () => connect({ path: socketPath })));
      await Promise.all(sockets.map((socket) => readAll(socket).finally(() => socket.destroy())));
    }
    expect(service.accepted).toBe(4000);
    const decoder = new FrameDecoder();
    let ended = 0;
    let openings = 0;
    let dropped = 0;
    const take = (chunk: Uint8Array) => {
      for (const { name, data } of decoder.push(chunk) as Iterable<{
        name?: string;
        data?: { count?: number; isWhole?: boolean };
      }>) {
        if (name === "dropped") dropped += data?.count ?? 0;
        if (name === "relay.close") ended += 1;
        if (name === "relay.open" || data?.isWhole === true) openings += 1;
      }
    };
    take(rest);
    child.stdout.on("data", take);
    await expect.poll(() => dropped).toBeGreaterThan(0);
    // What was dropped is an opening, an end, or both in one.
    await expect.poll(() => ended + dropped).toBeGreaterThanOrEqual(4000);
    expect(ended + openings + dropped).toBeLessThanOrEqual(8000);
    expect(openings + dropped).toBeGreaterThanOrEqual(4000);
  } finally {
    child.stdin.end();
    await within(once(child, "exit"), () => "it hangs");
  }
});
