import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import {
  agentEnding,
  closeForward,
  describeAgent,
  encodeFrame,
  hopConnected,
  type OpenForwardParams,
  openForward,
  relayClosed,
  relayOpened,
  relayRefused,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import { type KeyPair, makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AgentProcess,
  type AgentProcessOptions,
  startWithPreamble,
  within,
} from "./testing/agent-process.ts";
import { type BuiltBundle, buildBundle, oldestNode } from "./testing/build-bundle.ts";
import { delegateTo } from "./testing/delegate.ts";
import { hasOtherUsers, NOBODY } from "./testing/other-user.ts";
import { connect, readAll, serveTcp } from "./testing/tcp.ts";

let built: BuiltBundle;
let oldest: string;
let folder: string;
let key: KeyPair;
let sshd: Sshd;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "farside-agent-"));
  key = await makeKeyPair(path.join(folder, "identity"));
  [built, oldest, sshd] = await Promise.all([
    buildBundle(),
    oldestNode(),
    startSshd({ authorizedKeys: [key.line] }),
  ]);
}, 150_000);
afterAll(async () => {
  await built[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function params(port: number, changes: Partial<OpenForwardParams> = {}): OpenForwardParams {
  return {
    forwardId: "1",
    bind: { kind: "loopback", port: 0 },
    target: { kind: "tcp", host: "127.0.0.1", port },
    route: [],
    admission: { allowUsers: [], allowAnyUser: false },
    maxRelays: 0,
    ...changes,
  };
}

async function open(
  agent: AgentProcess,
  port: number,
  changes: Partial<OpenForwardParams> = {},
): Promise<number> {
  const { bound } = await agent.peer.request(openForward, params(port, changes));
  return bound[0]?.kind === "tcp" ? bound[0].port : 0;
}

const client = (port: number) => connect({ host: "127.0.0.1", port });

/** A client whose relay is open: its byte has come back. */
async function relayed(port: number): Promise<net.Socket> {
  const socket = await client(port);
  socket.write("!");
  await once(socket, "data");
  return socket;
}

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  const answer = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "error").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}

describe.each([
  ["this Node.js", () => process.execPath],
  ["the oldest Node.js", () => oldest],
])("an agent as its bundle, on %s", (_name, nodeOf) => {
  const start = (options: Omit<AgentProcessOptions, "bundle"> = {}) =>
    AgentProcess.start({ bundle: built.path, node: nodeOf(), ...options });

  test("says hello, opens a forward on both loopback addresses, relays, and stops", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    expect(agent.hello).toMatchObject({
      pid: agent.child.pid,
      uid: process.getuid?.(),
      user: os.userInfo().username,
    });
    const { bound } = await agent.peer.request(openForward, params(service.port));
    const [v4, v6] = bound;
    expect(bound).toMatchObject([{ address: "127.0.0.1" }, { address: "::1" }]);
    if (v4?.kind !== "tcp" || v6?.kind !== "tcp") throw new Error("not tcp");
    expect(v4.port).toBe(v6.port);
    for (const { address, port } of [v4, v6]) {
      const socket = await connect({ host: address, port });
      socket.end("over there");
      expect((await readAll(socket)).toString()).toBe("over there");
    }
    await agent.event(relayClosed, ({ relayId, reason }) => relayId === 2 && reason === "end");
    const { forwards } = await agent.peer.request(describeAgent, {});
    expect(forwards).toMatchObject([{ openRelays: 0, totalRelays: 2, bytesIn: 20, bytesOut: 20 }]);
    expect(await agent.peer.request(stopAgent, { graceMs: 0 })).toEqual({ relaysCut: 0 });
    expect(await agent.exit()).toEqual([0, null]);
    expect(agent.endReason).toBe("stopped");
    expect(await isListening(v4.port)).toBe(false);
  });

  test("finds the users of its clients among hundreds of connections", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const clients = await Promise.all(Array.from({ length: 300 }, () => relayed(port)));
    const { forwards } = await agent.peer.request(describeAgent, {});
    expect(forwards).toMatchObject([{ openRelays: 300, refusedRelays: 0 }]);
    for (const socket of clients) socket.destroy();
  });

  test("relays through a hop whose signature it asks the workstation for", async () => {
    await using service = await serveTcp((socket) => socket.end("behind the hop"));
    await using delegate = await delegateTo(key.path);
    await using agent = await start({ sign: (asked) => delegate.sign(asked) });
    const hostKeys = sshd.hostKeys.map(({ publicKey }) => publicKey.blob);
    const hop = {
      hopId: "h",
      user: sshd.user,
      host: sshd.host,
      port: sshd.port,
      hostKeys,
      publicKeys: [key.publicKey.blob],
    };
    const port = await open(agent, service.port, { route: [hop] });
    expect(await agent.event(hopConnected)).toMatchObject({ hopId: "h", port: sshd.port });
    expect((await readAll(await client(port))).toString()).toBe("behind the hop");
    expect(delegate.asked).toHaveLength(1);
    await agent.peer.request(stopAgent, { graceMs: 0 });
    expect(await agent.exit()).toEqual([0, null]);
  });

  test("reports a hop that refuses, and goes on", async () => {
    await using agent = await start({ sign: () => Promise.reject(new Error("never asked")) });
    const hostKeys = [key.publicKey.blob];
    const hop = {
      hopId: "h",
      user: sshd.user,
      host: sshd.host,
      port: sshd.port,
      hostKeys,
      publicKeys: [key.publicKey.blob],
    };
    const opening = agent.peer.request(openForward, params(1, { route: [hop] }));
    await expect(opening).rejects.toMatchObject({ code: "host-key.changed", leg: "hop" });
    expect(await agent.peer.request(renewLease, {})).toEqual({ openRelays: 0 });
  });

  test("ends at once at the end of stdin, resets its relays and removes its socket", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const socketPath = path.join(folder, `${process.pid}.sock`);
    await open(agent, service.port, { forwardId: "2", bind: { kind: "unix", path: socketPath } });
    const socket = await relayed(port);
    const cut = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(existsSync(socketPath)).toBe(true);
    const startedAt = performance.now();
    agent.child.stdin.end();
    expect(await agent.exit()).toEqual([0, null]);
    expect(performance.now() - startedAt).toBeLessThan(1000);
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

  test("ends when its lease is not renewed, and not while it is", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start({ hello: { leaseMs: 1000 } });
    const port = await open(agent, service.port);
    const socket = await relayed(port);
    const cut = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    const startedAt = performance.now();
    while (performance.now() - startedAt < 2000) {
      await agent.peer.request(renewLease, {});
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    const lastRenewal = performance.now();
    expect(await agent.exit()).toEqual([69, null]);
    expect(performance.now() - lastRenewal).toBeLessThan(2000);
    expect(agent.endReason).toBe("lease-expired");
    await cut;
  });

  test("takes no relay after a stop of the process that outlived its lease, and goes on once it is renewed", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start({ hello: { leaseMs: 1500 } });
    const port = await open(agent, service.port);
    agent.child.kill("SIGSTOP");
    const socket = await client(port);
    socket.write("!");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const renewal = agent.peer.request(renewLease, {});
    agent.child.kill("SIGCONT");
    expect(await renewal).toEqual({ openRelays: 0 });
    await within(once(socket, "data"), () => "the waiting relay did not start");
    expect(agent.events.map(({ name }) => name)).not.toContain("relay.refused");
    socket.destroy();
    await agent.peer.request(stopAgent, { graceMs: 0 });
    expect(await agent.exit()).toEqual([0, null]);
  });

  test("ends after --ttl", async () => {
    await using agent = await start({ hello: { ttlMs: 300 } });
    expect(await agent.exit()).toEqual([0, null]);
    expect(agent.endReason).toBe("ttl");
  });

  test("ends after --idle, but not while a relay is open", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start({ hello: { idleMs: 500 } });
    const socket = await relayed(await open(agent, service.port));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(agent.child.exitCode).toBeNull();
    socket.end();
    await readAll(socket);
    expect(await agent.exit()).toEqual([0, null]);
    expect(agent.endReason).toBe("idle");
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
    const { child } = await startWithPreamble({ bundle: built.path, node: nodeOf() });
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

  test("does not start without the loader's facts, and says so on stderr alone", async () => {
    const child = spawn(nodeOf(), [built.path], { stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => (output.stdout += chunk));
    child.stderr.on("data", (chunk) => (output.stderr += chunk));
    const [code] = await within(once(child, "close"), () => "it hangs");
    expect(code).not.toBe(0);
    expect(output.stdout).toBe("");
    expect(output.stderr).toContain("started without a nonce");
  });

  test("shows its session and no loader in the list of processes", async () => {
    await using agent = await start({ hello: { session: "brave-otter\u001b[31m" } });
    await agent.peer.request(renewLease, {});
    const commandLine = await readFile(`/proc/${agent.child.pid}/cmdline`, "utf8");
    expect(commandLine.replace(/\0+$/, "")).toBe("farside-agent brave-otter_[31m");
  });

  test("closes one forward and leaves the others", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const first = await open(agent, service.port);
    const second = await open(agent, service.port, { forwardId: "2" });
    const socket = await relayed(second);
    await agent.peer.request(closeForward, { forwardId: "1", graceMs: 0 });
    expect(await isListening(first)).toBe(false);
    socket.write("x");
    expect(String((await once(socket, "data"))[0])).toBe("x");
    await expect(agent.peer.request(closeForward, { forwardId: "1", graceMs: 0 })).rejects.toMatchObject({
      code: "forward.not-found",
    });
    expect(await agent.event(relayOpened)).toMatchObject({ forwardId: "2" });
    socket.destroy();
  });
});

test.runIf(hasOtherUsers)(
  "an agent of an ordinary user names the user who holds a port, and refuses root's only",
  async () => {
    await using service = await serveTcp((socket) => socket.end("for nobody and root"));
    const drop = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "env", "-i"];
    const wrap = (command: readonly string[]) => [...drop, ...command];
    await using agent = await AgentProcess.start({ bundle: built.path, wrap });
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
  await using agent = await AgentProcess.start({ bundle: built.path, wrap });
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
  expect(agent.warnings[0]).toContain("too many connections wait");
  for (const socket of clients) socket.destroy();
  await expect
    .poll(async () => (await agent.peer.request(describeAgent, {})).forwards[0]?.openRelays)
    .toBe(0);
  const late = await relayed(port);
  late.destroy();
  await agent.peer.request(stopAgent, { graceMs: 0 });
  expect(await agent.exit()).toEqual([0, null]);
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
  await using agent = await AgentProcess.start({ bundle: built.path, wrap, hello: { leaseMs: 1000 } });
  const parent = Number(
    /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${agent.hello.pid}/status`, "utf8"))?.[1],
  );
  expect(await readFile(`/proc/${parent}/cmdline`, "utf8")).toMatch(/^sshd(-session)?: /);
  // 69 would be the agent's own exit code: that the login was cut is what 255 says.
  expect(await agent.exit()).toEqual([255, null]);
  await expect
    .poll(() => [isRunning(parent), isRunning(agent.hello.pid)], { timeout: 5000 })
    .toEqual([false, false]);
});

/** A process that has ended may still wait for its parent. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
