import { describeAgent, openForward, relayClosed, stopAgent } from "@farside/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, type AgentProcessOptions } from "./testing/agent-process.ts";
import { type BuiltBundle, buildBundle, oldestNode } from "./testing/build-bundle.ts";
import { connect, readAll, serveTcp } from "./testing/tcp.ts";

let built: BuiltBundle;
let bundle: string;
let oldest: string;

beforeAll(async () => {
  built = await buildBundle();
  bundle = built.path;
  oldest = await oldestNode();
}, 150_000);
afterAll(() => built[Symbol.asyncDispose]());

const nobodyElse = { allowUsers: [], allowAnyUser: false };

describe.each([
  ["this Node.js", () => process.execPath],
  ["the oldest Node.js", () => oldest],
])("an agent as its bundle on %s", (_name, nodeOf) => {
  const start = (options: Omit<AgentProcessOptions, "bundle"> = {}) =>
    AgentProcess.start({ bundle, node: nodeOf(), ...options });

  test("says hello, opens a forward on both loopback addresses, relays, and stops", async () => {
    await using service = await serveTcp((socket) => socket.pipe(socket));
    await using agent = await start();
    expect(agent.hello).toMatchObject({ pid: agent.child.pid, uid: process.getuid?.() });
    const { bound } = await agent.peer.request(openForward, {
      forwardId: "1",
      bind: { kind: "loopback", port: 0 },
      target: { kind: "tcp", host: "127.0.0.1", port: service.port },
      route: [],
      admission: nobodyElse,
      maxRelays: 0,
    });
    const [v4, v6] = bound;
    expect(bound).toMatchObject([{ address: "127.0.0.1" }, { address: "::1" }]);
    if (v4?.kind !== "tcp" || v6?.kind !== "tcp") throw new Error("not tcp");
    expect(v4.port).toBe(v6.port);
    for (const { address, port } of [v4, v6]) {
      const client = await connect({ host: address, port });
      client.end("over there");
      expect((await readAll(client)).toString()).toBe("over there");
    }
    await agent.event(relayClosed, ({ relayId, reason }) => relayId === 2 && reason === "end");
    const { forwards } = await agent.peer.request(describeAgent, {});
    expect(forwards).toMatchObject([{ openRelays: 0, totalRelays: 2, bytesIn: 20, bytesOut: 20 }]);
    expect(await agent.peer.request(stopAgent, { graceMs: 0 })).toEqual({ relaysCut: 0 });
    expect(await agent.exit()).toEqual([0, null]);
    expect(agent.endReason).toBe("stopped");
  });
});
