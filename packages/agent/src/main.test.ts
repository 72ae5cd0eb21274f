import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  closeForward,
  describeAgent,
  hopConnected,
  openForward,
  relayClosed,
  relayOpened,
  renewLease,
  stopAgent,
} from "@farside/protocol";
import { type KeyPair, makeKeyPair, type Sshd, startSshd } from "@farside/ssh/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, type AgentProcessOptions } from "./testing/agent-process.ts";
import {
  client,
  forwardTo,
  isListening,
  nodeVersions,
  open,
  relayed,
  useBundle,
} from "./testing/bundle-under-test.ts";
import { delegateTo } from "./testing/delegate.ts";
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

describe.each(nodeVersions)("an agent as its bundle, on %s", (version) => {
  const start = (options: Omit<AgentProcessOptions, "bundle"> = {}) =>
    AgentProcess.start({ bundle: shared.bundle, node: shared.nodes[version], ...options });

  test("says hello, opens a forward on both loopback addresses, relays, and stops", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    expect(agent.hello).toMatchObject({
      pid: agent.child.pid,
      uid: process.getuid?.(),
      user: os.userInfo().username,
    });
    const { bound } = await agent.peer.request(openForward, forwardTo(service.port));
    const [v4, v6] = bound;
    expect(bound).toMatchObject([{ address: "127.0.0.1" }, { address: "::1" }]);
    if (v4?.kind !== "tcp" || v6?.kind !== "tcp") throw new Error("not tcp");
    expect(v4.port).toBe(v6.port);
    for (const { address, port } of [v4, v6]) {
      const socket = await connect({ host: address, port });
      socket.end("over there");
      expect((await readAll(socket)).toString()).toBe("over there");
    }
    for (const id of [1, 2])
      await agent.event(relayClosed, ({ relayId, reason }) => relayId === id && reason === "end");
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
    const opening = agent.peer.request(openForward, forwardTo(1, { route: [hop] }));
    await expect(opening).rejects.toMatchObject({ code: "host-key.changed", leg: "hop" });
    expect(await agent.peer.request(renewLease, {})).toEqual({ openRelays: 0 });
  });

  test("does not start without the loader's facts, and says so on stderr alone", async () => {
    const child = spawn(shared.nodes[version], [shared.bundle], { stdio: ["pipe", "pipe", "pipe"] });
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
    expect(commandLine.replace(/\0+$/, "")).toMatch(/^farside-agent brave-otter_\[31m lease-until=\d+$/);
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
