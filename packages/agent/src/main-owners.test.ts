import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { relayRefused, runCommand, stopAgent } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { AgentProcess } from "./testing/agent-process.ts";
import { open, relayed, useBundle } from "./testing/bundle-under-test.ts";
import { newRun } from "./testing/new-run.ts";
import { clientProgram, hasOtherUsers, NOBODY, runAs } from "./testing/other-user.ts";
import { serveTcp } from "./testing/tcp.ts";
import { withSockDiag } from "./testing/with-sock-diag.ts";

const NONCE = newRun();
const shared = useBundle();
const start = () => AgentProcess.start({ bundle: shared.bundle, nonce: NONCE });

/** Pid of the agent's helper that looks owners up. */
function helperOf(agent: AgentProcess): number | undefined {
  const { pid } = agent.child;
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").map(Number);
  return pids.find((each) => each > 0 && environmentOf(each).includes("FARSIDE_RUN="));
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

/** Gone, or dead and waiting to be collected. */
const isGone = (pid: number) => environmentOf(pid) === "";

async function withHelper(agent: AgentProcess, port: number): Promise<number> {
  (await relayed(port)).destroy();
  await expect.poll(() => helperOf(agent)).toBeGreaterThan(0);
  return helperOf(agent) as number;
}

describe.runIf(existsSync("/usr/bin/perl"))("the helper that says whose connections are", () => {
  test("starts with the first connection, is marked as the deploy's, and is gone when a stopped agent is", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    expect(helperOf(agent)).toBeUndefined();
    const helper = await withHelper(agent, port);
    expect(environmentOf(helper)).toBe(`FARSIDE_RUN=${NONCE}\0`);
    const many = Array.from({ length: 32 }, async () => {
      for (let count = 0; count < 10; count += 1) (await relayed(port)).destroy();
    });
    await Promise.all(many);
    await agent.peer.request(stopAgent, { graceMs: 0 });
    await agent.exit();
    expect(isGone(helper)).toBe(true);
    expect(agent.log).not.toContain("/proc alone");
  });

  test("ends with an agent that is killed", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const helper = await withHelper(agent, await open(agent, service.port));
    agent.child.kill("SIGKILL");
    await agent.exit();
    await expect.poll(() => isGone(helper)).toBe(true);
  });

  test.runIf(hasOtherUsers)("may be killed: connections go on, and other users stay out", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const helper = await withHelper(agent, port);
    for (let count = 0; count < 5; count += 1) (await relayed(port)).destroy();
    const clients = Promise.all(Array.from({ length: 50 }, () => relayed(port)));
    process.kill(helper, "SIGKILL");
    for (const client of await clients) client.destroy();
    await using other = runAs(NOBODY, clientProgram(port));
    expect([await other.line(), await other.line()]).toEqual(["open", "ECONNRESET"]);
    expect(await agent.event(relayRefused)).toMatchObject({ uid: NOBODY, reason: "other-user" });
    await expect.poll(() => agent.log).toContain("/proc alone");
    (await relayed(port)).destroy();
    expect(helperOf(agent)).toBeUndefined();
  });

  test("that is stopped holds nobody up for long, and hangs no connection", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port);
    const helper = await withHelper(agent, port);
    for (let count = 0; count < 5; count += 1) (await relayed(port)).destroy();
    process.kill(helper, "SIGSTOP");
    const clients = await Promise.all(Array.from({ length: 20 }, () => relayed(port)));
    for (const client of clients) client.destroy();
    await expect.poll(() => isGone(helper)).toBe(true);
    await expect.poll(() => agent.log).toContain("no answer within 2000 ms");
  });

  test("is not started where nobody asks whose connections are", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    const port = await open(agent, service.port, { admission: { allowUsers: [], allowAnyUser: true } });
    for (let count = 0; count < 3; count += 1) (await relayed(port)).destroy();
    expect(helperOf(agent)).toBeUndefined();
  });
});

describe.runIf(existsSync("/usr/bin/perl"))("an agent that was started with a sock_diag socket", () => {
  const startWithSocket = () =>
    AgentProcess.start({ bundle: shared.bundle, nonce: NONCE, wrap: withSockDiag });

  test("asks the kernel itself, starts no helper, and lets the same users in", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await startWithSocket();
    const port = await open(agent, service.port);
    for (let count = 0; count < 5; count += 1) (await relayed(port)).destroy();
    const clients = await Promise.all(Array.from({ length: 50 }, () => relayed(port)));
    for (const client of clients) client.destroy();
    const { pid } = agent.child;
    expect(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim()).toBe("");
    expect(agent.log).not.toContain("/proc alone");
    await agent.peer.request(stopAgent, { graceMs: 0 });
    expect(await agent.exit()).toEqual([0, null]);
  });

  test.runIf(hasOtherUsers)("keeps other users out, whose connections no target sees", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await startWithSocket();
    const port = await open(agent, service.port);
    for (let count = 0; count < 5; count += 1) (await relayed(port)).destroy();
    const before = service.accepted;
    for (let count = 0; count < 3; count += 1) {
      await using other = runAs(NOBODY, clientProgram(port));
      // The reset may come before the client has seen that it is connected.
      const line = await other.line();
      expect(line === "open" ? await other.line() : line).toBe("ECONNRESET");
    }
    expect(await agent.event(relayRefused)).toMatchObject({ uid: NOBODY, reason: "other-user" });
    (await relayed(port)).destroy();
    expect(service.accepted).toBe(before + 1);
    expect(agent.log).not.toContain("/proc alone");
  });

  test("gives neither the socket nor its name to commands", async () => {
    let output = "";
    await using agent = await AgentProcess.start({
      ...{ bundle: shared.bundle, nonce: NONCE, wrap: withSockDiag },
      onOutput: async ({ data }) => {
        output += Buffer.from(data).toString();
        return { isOpen: true };
      },
    });
    expect(readlinkSync(`/proc/${agent.child.pid}/fd/3`)).toMatch(/^socket:/);
    const argv = ["/bin/sh", "-c", "env; ls -l /proc/self/fd"];
    const ran = await agent.peer.request(runCommand, { commandId: 1, argv, environment: { LAST: "one" } });
    expect(ran).toEqual({ exitCode: 0 });
    expect(output).toContain("LAST=one");
    expect(output).not.toContain("FARSIDE_SOCK_DIAG");
    expect(output).not.toContain(readlinkSync(`/proc/${agent.child.pid}/fd/3`));
  });
});
