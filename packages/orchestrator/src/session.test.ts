import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { sessionEvents } from "@farside/protocol";
import * as v from "valibot";
import { afterAll, describe, expect, it } from "vitest";
import { deployAndForward, startSession } from "./deploy-and-forward.ts";
import { readSession } from "./session-store.ts";
import { buildAgent } from "./testing/build-agent.ts";
import { startBuiltHost } from "./testing/built-host.ts";
import { startEchoServer } from "./testing/echo-server.ts";
import { startJumpHost } from "./testing/jump-host.ts";
import { sessionFolders } from "./testing/session-folders.ts";
import { boundPort, codeOf, eventsNamed, exchange } from "./testing/session-probe.ts";

const built = await startBuiltHost(buildAgent);
const { agent, host } = built;
afterAll(() => built[Symbol.asyncDispose]());

const clean = { processes: [], listeners: [], files: [], clean: true };
const states = () => sessionFolders(host.sshd.folder.file("state"));

/** The agent of a session, which runs on this machine. */
function agentPid(events: Parameters<typeof eventsNamed>[0]): number {
  const [ready] = eventsNamed(events, "agent.ready");
  if (ready === undefined) throw new Error("no agent");
  return ready.pid;
}

describe("a session", () => {
  it("opens, relays, and closes with a clean receipt", async () => {
    await using echo = await startEchoServer();
    const readyFile = host.sshd.folder.file("ready.json");
    const options = host.options({ forwards: `0:127.0.0.1:${echo.port}`, readyFile, name: "first" });
    await using session = await deployAndForward(options);
    expect(session.state).toEqual({ phase: "ready" });
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
    const { forwards, ...ready } = JSON.parse(await readFile(readyFile, "utf8"));
    expect(ready).toEqual({ session: "first", pid: process.pid, host: session.host });
    expect(forwards[0].bind).toContain(`127.0.0.1:${boundPort(session)}`);
    expect(await states()).toEqual(["first"]);
    // `farside status` agrees as soon as it is ready.
    const stored = await readSession(host.sshd.folder.file("state"), "first");
    expect(stored?.record).toMatchObject({ phase: "ready", forwards: [{ id: "1" }] });

    const { failure, receipt } = await session.close();
    expect(failure).toBeUndefined();
    expect(receipt).toMatchObject({ session: "first", ...clean });
    expect(await states()).toEqual([]);
    await expect(readFile(readyFile)).rejects.toThrow(/ENOENT/);
    await expect(exchange(boundPort(session), "x")).rejects.toThrow(/ECONNREFUSED/);

    const order = options.events.map(({ event }) => event);
    expect(order).toEqual([
      "hop.connected",
      "agent.ready",
      "forward.open",
      "ready",
      "relay.open",
      "relay.close",
      "receipt",
    ]);
    for (const event of options.events) {
      expect(v.safeParse(sessionEvents[event.event], event).issues).toBeUndefined();
    }
    const [relay] = eventsNamed(options.events, "relay.close");
    expect(relay).toMatchObject({ forward: "1", bytesIn: 5, bytesOut: 5, reason: "end" });
    expect(session.counters).toMatchObject({ totalRelays: 1, openRelays: 0, bytesIn: 5, bytesOut: 5 });
  });

  it("gives open relays their grace, and ends it at once when it is escalated", async () => {
    await using echo = await startEchoServer();
    const options = host.options({ forwards: `0:127.0.0.1:${echo.port}` });
    await using session = await deployAndForward(options);
    const client = connect(boundPort(session), "127.0.0.1");
    client.on("error", () => {});
    client.write("a");
    await once(client, "data");
    const closing = session.close({ graceMs: 60_000 });
    await expect.poll(() => codeOf(exchange(boundPort(session), "x"))).toBe("ECONNREFUSED");
    client.write("b");
    expect(String((await once(client, "data"))[0])).toBe("b");
    expect(session.state).toEqual({ phase: "draining", graceMs: 60_000 });
    const gone = new Promise((resolve) => client.once("close", resolve));
    session.escalate();
    await gone;
    expect(await closing).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("ends when the last relay does, before the grace is over", async () => {
    await using echo = await startEchoServer();
    await using session = await deployAndForward(host.options({ forwards: `0:127.0.0.1:${echo.port}` }));
    const client = connect(boundPort(session), "127.0.0.1");
    client.write("a");
    await once(client, "data");
    const closing = session.close({ graceMs: 60_000 });
    client.end("b");
    expect(await closing).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("listens on a socket, and removes it even when its agent was killed", async () => {
    await using echo = await startEchoServer();
    const path = host.sshd.folder.file("in.sock");
    const options = host.options({ forwards: `${path}:127.0.0.1:${echo.port}` });
    await using session = await deployAndForward(options);
    expect(await exchange(path, "hello")).toBe("hello");
    process.kill(agentPid(options.events), "SIGKILL");
    const { failure, receipt } = await session.closed;
    expect(failure).toMatchObject({ code: "agent.gone", leg: "jump" });
    expect(receipt).toMatchObject(clean);
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });

  it("fails with the reason when its agent is killed or told to end, and has looked before it says so", async () => {
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const options = host.options();
      await using session = await deployAndForward(options);
      process.kill(agentPid(options.events), signal);
      expect(await session.closed).toMatchObject({ failure: { code: "agent.gone" }, receipt: clean });
      expect(options.events.slice(-2).map(({ event }) => event)).toEqual(["receipt", "error"]);
    }
  });

  it("ends at its ttl and when it is idle", async () => {
    // --ttl counts from the agent's start: long enough to be ready by then on a busy machine.
    const ends = [{ ttlMs: 2_500 }, { idleMs: 2_500 }].map(async (limit) => {
      await using session = await deployAndForward(host.options(limit));
      return await session.closed;
    });
    for (const end of await Promise.all(ends))
      expect(end).toMatchObject({ failure: { code: "session.limit-reached" }, receipt: clean });
  });

  it("fails when its connection is lost, and does not claim that nothing is left", async () => {
    await using other = await startJumpHost(agent.bundle);
    const options = other.options();
    await using session = await deployAndForward(options);
    const pid = agentPid(options.events);
    // The login's sshd, as a cut link would: the agent notices the end of its stdin.
    const parent = Number((await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ")[1]);
    process.kill(parent, "SIGKILL");
    const { failure, receipt } = await session.closed;
    expect(failure?.code).toBe("hop.lost");
    expect(receipt?.clean).toBe(false);
    expect(receipt?.processes[0]).toMatch(/^unknown: .* the connection to it is gone/);
    expect(await sessionFolders(other.sshd.folder.file("state"))).toEqual([session.name]);
    await expect.poll(() => stat(`/proc/${pid}`).catch(() => "gone")).toBe("gone");
  });

  it("fails on a port that is taken, names its holder, and does not count it as left over", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const options = host.options({ forwards: ["0:127.0.0.1:9", `${port}:127.0.0.1:9`] });
    await expect(deployAndForward(options)).rejects.toMatchObject({
      code: "forward.port-in-use",
      leg: "bind",
      message: expect.stringContaining(String(process.pid)),
    });
    expect(eventsNamed(options.events, "receipt")[0]).toMatchObject(clean);
    server.close();
  });

  it("that is closed before it is ready has left nothing and says that it was stopped", async () => {
    for (const phase of ["hop.connected", "agent.ready"] as const) {
      const options = host.options();
      const session = await startSession(options);
      session.subscribe(({ event }) => {
        if (event === phase) void session.close();
      });
      expect(await codeOf(session.ready)).toBe("canceled");
      expect((await session.closed).receipt?.clean).toBe(phase === "agent.ready" ? true : undefined);
      expect(await states()).toEqual([]);
    }
  });

  it("stops for its caller's signal, with its reason", async () => {
    const controller = new AbortController();
    const reason = new Error("no more");
    const options = host.options({
      signal: controller.signal,
      onEvent: ({ event }) => event === "agent.ready" && controller.abort(reason),
    });
    await expect(deployAndForward(options)).rejects.toBe(reason);
    expect(await codeOf(startSession(host.options({ signal: AbortSignal.abort(reason) })))).toBeUndefined();
    expect(await states()).toEqual([]);
  });

  it("can be closed while somebody is asked who never answers", async () => {
    let asked: (value?: unknown) => void = () => {};
    const isAsked = new Promise((resolve) => {
      asked = resolve;
    });
    const never = () => {
      asked();
      return new Promise<never>(() => {});
    };
    const identity = {
      ...{ kind: "card" as const, publicKeys: never, ready: never, sign: never, close: never },
      [Symbol.asyncDispose]: never,
    };
    const session = await startSession(host.options({ identity }));
    await isAsked;
    expect(await session.close()).toMatchObject({ failure: { code: "canceled" }, receipt: undefined });
  });

  it("reaches its jump host over others, and tells of each", async () => {
    await using before = await startJumpHost(agent.bundle, { authorizedKeys: [host.sshd.userKey.line] });
    await host.know(before.sshd);
    const jumps = `${before.sshd.user}@127.0.0.1:${before.sshd.port}`;
    const options = host.options({ jumps });
    await using session = await deployAndForward(options);
    const hops = eventsNamed(options.events, "hop.connected");
    expect(hops.map(({ port }) => port)).toEqual([before.sshd.port, host.sshd.port]);
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("reaches its jump host by a ProxyCommand, and asks about its unknown key", async () => {
    const proxyCommand = `${process.execPath} -e 'const s = require("net").connect(%p, "%h"); process.stdin.pipe(s).pipe(process.stdout)'`;
    const questions: unknown[] = [];
    const options = host.options({
      sshOptions: { ProxyCommand: proxyCommand },
      knownHostsFiles: [host.sshd.folder.file("new_known_hosts")],
      hostKeyCheck: "ask",
      askHostKey: async (question) => questions.push(question) > 0,
    });
    await using session = await deployAndForward(options);
    expect(questions).toMatchObject([{ place: { host: "127.0.0.1", port: host.sshd.port } }]);
    expect(questions[0]).not.toHaveProperty("reportedBy");
    expect(await session.close()).toMatchObject({ failure: undefined, receipt: clean });
  });

  it("can be killed at once, and says that nobody looked", async () => {
    await using session = await deployAndForward(host.options());
    session.kill();
    const { receipt } = await session.closed;
    expect(receipt).toMatchObject({ clean: false, processes: [expect.stringMatching(/^unknown/)] });
    expect(await states()).toEqual([session.name]);
  });
});
