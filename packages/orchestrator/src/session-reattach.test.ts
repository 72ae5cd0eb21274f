import { once } from "node:events";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { agentHello, Peer, PROTOCOL_VERSIONS, WebSocketStream } from "@farside/protocol";
import { afterAll, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { deployAndForward } from "./deploy-and-forward.ts";
import { openIdentity } from "./identity-choice.ts";
import { planJumpLogin } from "./jump-login.ts";
import type { Session } from "./session.ts";
import { listSessions } from "./session-store.ts";
import { SharedIdentity } from "./shared-identity.ts";
import { teardownSession } from "./teardown-session.ts";
import { buildResidentAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import { startEchoServer } from "./testing/echo-server.ts";
import { type JumpHost, startJumpHost } from "./testing/jump-host.ts";
import { boundPort, codeOf, eventsNamed, exchange } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildResidentAgent);
const { agent, host } = built;
afterAll(() => built[Symbol.asyncDispose]());

const clean = { processes: [], listeners: [], files: [], clean: true };
type More = Parameters<JumpHost["options"]>[0];
const options = (more: More = {}) =>
  host.options({
    reattach: true,
    residentBundle: agent.residentBundle,
    bridgeBundle: agent.bridgeBundle,
    ...more,
  });

/** A relay whose byte has come back. */
async function relay(session: Session): Promise<Socket> {
  const socket = connect(boundPort(session), "127.0.0.1");
  socket.on("error", () => {});
  await echo(socket, "!");
  return socket;
}
async function echo(socket: Socket, text: string): Promise<void> {
  socket.write(text);
  expect(String((await once(socket, "data"))[0])).toBe(text);
}
const parentOf = async (pid: number) =>
  Number((await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ")[1]);
/** Kills the sshd processes of the logins that the session's control channel goes through. */
async function killLogin(nonce: string): Promise<void> {
  for (const name of await readdir("/proc")) {
    const environ = await readFile(`/proc/${name}/environ`, "latin1").catch(() => "");
    const title = await readFile(`/proc/${name}/cmdline`, "latin1").catch(() => "");
    if (!environ.includes(nonce) || !title.startsWith("farside-bridge")) continue;
    const parent = await parentOf(Number(name));
    // One whose login is gone already has another parent.
    if (/^sshd/.test(await readFile(`/proc/${parent}/comm`, "latin1"))) process.kill(parent, "SIGKILL");
  }
}
const nonceOf = async (name: string, at: JumpHost = host) => {
  const [found] = (await listSessions(at.sshd.folder.file("state"))).filter(
    ({ record }) => record.name === name,
  );
  const agentEntry = found?.undo.find(({ made }) => made === "agent");
  return agentEntry?.made === "agent" ? agentEntry.nonce : "";
};
const isGone = (pid: number) =>
  readFile(`/proc/${pid}/stat`, "latin1").then(
    (text) => /\) [ZX] /.test(text),
    () => true,
  );

/** An agent's control socket, of one that says the right pid and another mark. */
async function startImpostor(control: string, pid: number, digest: string) {
  const webSockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  const peers: Peer[] = [];
  const facts = { ...{ agentVersion: "0.1.0", digest, capabilities: ["resident"], pid, node: "20.0.0" } };
  server.on("upgrade", (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = new Peer(new WebSocketStream(webSocket));
      peers.push(peer);
      const place = { platform: "linux", hostname: "here", uid: 0, user: "root" };
      const resident = { run: "0".repeat(32), control };
      peer.emit(agentHello, { protocol: PROTOCOL_VERSIONS, ...facts, ...place, resident });
    });
  });
  server.listen(control);
  await once(server, "listening");
  return {
    get hellos() {
      return peers.length;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(peers.map((peer) => peer.close()));
      server.close();
      await once(server, "close");
    },
  };
}

describe("a session that outlives its connection", () => {
  it("takes a turn to start and to log in again where its identity is shared", async () => {
    const given = options();
    const open = async () => (await openIdentity({ choice: given.identity as string, configs: [] })).identity;
    await using identity = await SharedIdentity.open(open, { startsAtATime: 1 });
    await using session = await deployAndForward({ ...given, identity });
    const turn = identity.turn();
    const endTurn = new AbortController();
    const held = turn.whileSigning(() => once(endTurn.signal, "abort"), undefined);
    await expect.poll(() => turn.isHeld).toBe(true);
    const enough = new AbortController();
    const other = deployAndForward({ ...options(), identity, signal: enough.signal });
    other.catch(() => {});
    await expect.poll(() => identity.waitingSessions).toBe(1);
    enough.abort(new Error("no more"));
    await expect(other).rejects.toThrow("no more");
    expect(identity.waitingSessions).toBe(0);
    await killLogin(await nonceOf(session.name));
    await expect.poll(() => identity.waitingSessions).toBe(1);
    expect(eventsNamed(given.events, "reattached")).toEqual([]);
    endTurn.abort();
    await held;
    turn.close();
    await expect.poll(() => eventsNamed(given.events, "reattached").length).toBe(1);
    expect(identity.waitingSessions).toBe(0);
  });

  it("logs in again and goes on with its relays when the login is killed", async () => {
    await using service = await startEchoServer();
    const given = options({ forwards: `0:127.0.0.1:${service.port}` });
    await using session = await deployAndForward(given);
    const nonce = await nonceOf(session.name);
    const socket = await relay(session);
    for (let round = 1; round <= 2; round += 1) {
      await killLogin(nonce);
      await echo(socket, "between");
      await expect.poll(() => eventsNamed(given.events, "reattached").length).toBe(round);
      expect(session.state).toEqual({ phase: "ready" });
      await echo(socket, "after");
      expect(await exchange(boundPort(session), "new")).toBe("new");
    }
    socket.end();
    await expect.poll(() => session.counters).toMatchObject({ totalRelays: 3, openRelays: 0 });
    expect(eventsNamed(given.events, "hop.connected")).toHaveLength(3);
    const { failure, receipt } = await session.close();
    expect(failure).toBeUndefined();
    expect(receipt).toMatchObject(clean);
    expect(await codeOf(exchange(boundPort(session), "x"))).toBe("ECONNREFUSED");
  });

  it("is lost without it", async () => {
    const given = options({ reattach: undefined });
    await using session = await deployAndForward(given);
    const [ready] = eventsNamed(given.events, "agent.ready");
    process.kill(await parentOf(ready?.pid ?? 0), "SIGKILL");
    expect((await session.closed).failure).toMatchObject({ code: "hop.lost" });
  });

  it("says that its agent is gone where it is, and has looked", async () => {
    const given = options();
    await using session = await deployAndForward(given);
    const [ready] = eventsNamed(given.events, "agent.ready");
    process.kill(ready?.pid ?? 0, "SIGKILL");
    const { failure, receipt } = await session.closed;
    expect(failure).toMatchObject({ code: "agent.gone", leg: "jump" });
    expect(receipt).toMatchObject(clean);
  });

  it("does not take another agent at its socket for its own", async () => {
    await using other = await startJumpHost(agent.bundle);
    const bundles = { residentBundle: agent.residentBundle, bridgeBundle: agent.bridgeBundle };
    const given = other.options({ reattach: true, ...bundles, leaseMs: 60_000 });
    await using session = await deployAndForward(given);
    const [ready] = eventsNamed(given.events, "agent.ready");
    const pid = ready?.pid ?? Number.NaN;
    const control = `/tmp/farside-${process.getuid?.()}/${session.name}.sock`;
    // Nobody gets in until the other one is there.
    process.kill(other.sshd.pid, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    await expect.poll(() => isGone(pid)).toBe(true);
    await rm(control);
    await using impostor = await startImpostor(control, pid, agent.residentBundle.digest);
    process.kill(other.sshd.pid, "SIGCONT");
    expect((await session.closed).failure).toMatchObject({
      code: "agent.gone",
      message: expect.stringContaining("another agent"),
    });
    expect(impostor.hellos).toBeGreaterThan(0);
  });

  it("gives up when nobody can be reached for the lease, and its agent has ended by then", async () => {
    await using other = await startJumpHost(agent.bundle);
    const bundles = { residentBundle: agent.residentBundle, bridgeBundle: agent.bridgeBundle };
    const given = other.options({ reattach: true, ...bundles, leaseMs: 2_000 });
    await using session = await deployAndForward(given);
    const [ready] = eventsNamed(given.events, "agent.ready");
    process.kill(other.sshd.pid, "SIGTERM");
    await expect.poll(() => codeOf(exchange(other.sshd.port, ""))).toBe("ECONNREFUSED");
    await killLogin(await nonceOf(session.name, other));
    const { failure, receipt } = await session.closed;
    expect(failure).toMatchObject({ code: "lease.expired" });
    expect(receipt?.clean).toBe(false);
    await expect.poll(() => isGone(ready?.pid ?? 0)).toBe(true);
  });

  it("can be closed while it is lost", async () => {
    const given = options({ leaseMs: 60_000 });
    await using session = await deployAndForward(given);
    session.subscribe(({ event }) => {
      if (event === "warning") void session.close({ graceMs: 0 });
    });
    await killLogin(await nonceOf(session.name));
    const { failure, receipt } = await session.closed;
    expect(failure).toBeUndefined();
    expect(receipt).toMatchObject(clean);
    expect(eventsNamed(given.events, "reattached")).toEqual([]);
  });

  it("runs no commands", async () => {
    await using session = await deployAndForward(options());
    expect(() => session.run(["true"])).toThrow(/runs no commands/);
  });
});

describe("a session that is left to itself", () => {
  it("goes on without its orchestrator, is found by its name, and ends with a teardown", async () => {
    await using service = await startEchoServer();
    const given = options({ reattach: undefined, detach: true, ttlMs: 600_000, leaseMs: 1_000, graceMs: 0 });
    const session = await deployAndForward({ ...given, forwards: `0:127.0.0.1:${service.port}` });
    const socket = await relay(session);
    await session.detach({ signal: AbortSignal.timeout(60_000) });
    expect(await session.closed).toEqual({ failure: undefined, receipt: undefined });
    expect(given.events.at(-1)).toMatchObject({ event: "detached", session: session.name });
    const startedAt = performance.now();
    // Beyond its lease.
    while (performance.now() - startedAt < 2_500) {
      await echo(socket, "on");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const again = options({ detach: true, ttlMs: 1_000, name: session.name });
    expect(await codeOf(deployAndForward(again))).toBe("session.name-in-use");
    const login = await planJumpLogin(given, { onWarning: () => {} });
    const { identity, close } = await openIdentity({
      choice: host.sshd.userKey.path,
      configs: login.configs,
    });
    const stateFolder = host.sshd.folder.file("state");
    const receipt = await teardownSession(session.name, {
      stateFolder,
      connect: (_session, signal) => login.connect(identity, { signal }),
    });
    await close();
    expect(receipt).toMatchObject(clean);
    expect(await codeOf(teardownSession(session.name, { stateFolder }))).toBe("session.not-found");
    await expect(stat(`${stateFolder}/${session.name}`)).rejects.toThrow(/ENOENT/);
    expect(await codeOf(exchange(boundPort(session), "x"))).toBe("ECONNREFUSED");
  });

  it("can't be without a ttl, nor where it was not asked for", async () => {
    expect(await codeOf(deployAndForward(options({ detach: true })))).toBe("usage.invalid");
    await using session = await deployAndForward(options({ reattach: undefined }));
    expect(await codeOf(session.detach({ signal: AbortSignal.timeout(1_000) }))).toBe("agent.gone");
  });
});
