import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { type SessionEvent, sessionEvents } from "@farside/protocol";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployAndForward } from "./deploy-and-forward.ts";
import type { Session } from "./session.ts";
import { type BuiltAgent, buildAgent } from "./testing/build-agent.ts";
import { type JumpHost, startJumpHost } from "./testing/jump-host.ts";

let agent: BuiltAgent;
let host: JumpHost;
beforeAll(async () => {
  agent = await buildAgent();
  host = await startJumpHost(agent.bundle);
}, 60_000);
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

/** Answers every line with the line, and the end with the end. */
async function echoServer() {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.close();
    },
  };
}

function boundPort(session: Session): number {
  const [address] = session.forwards[0]?.bound ?? [];
  if (address === undefined || address.kind === "unix") throw new Error("no port");
  return address.port;
}

async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

const named = <E extends SessionEvent["event"]>(events: SessionEvent[], name: E) =>
  events.filter((event): event is Extract<SessionEvent, { event: E }> => event.event === name);

async function states() {
  return readdir(host.sshd.folder.file("state"));
}

describe("a session", () => {
  it("opens, relays, and closes with a clean receipt", async () => {
    await using echo = await echoServer();
    const readyFile = host.sshd.folder.file("ready.json");
    const options = host.options({ forwards: `0:127.0.0.1:${echo.port}`, readyFile, name: "first" });
    await using session = await deployAndForward(options);
    expect(session.state).toEqual({ phase: "ready" });
    expect(await exchange(boundPort(session), "hello")).toBe("hello");
    const { forwards, ...ready } = JSON.parse(await readFile(readyFile, "utf8"));
    expect(ready).toEqual({ session: "first", pid: process.pid, host: session.host });
    expect(forwards[0].bind).toContain(`127.0.0.1:${boundPort(session)}`);
    expect(await states()).toEqual(["first"]);

    const { failure, receipt } = await session.close();
    expect(failure).toBeUndefined();
    expect(receipt).toMatchObject({ session: "first", processes: [], listeners: [], files: [], clean: true });
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
    for (const event of options.events)
      expect(v.safeParse(sessionEvents[event.event], event).issues).toBeUndefined();
    expect(named(options.events, "relay.close")[0]).toMatchObject({
      forward: "1",
      bytesIn: 5,
      bytesOut: 5,
      reason: "end",
    });
  });
});
