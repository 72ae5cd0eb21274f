import {
  agentEnding,
  agentHello,
  FramedStream,
  forwardTakenOver,
  handle,
  hopConnected,
  hopLost,
  METRICS_PLACE,
  on,
  openForward,
  orchestratorHello,
  Peer,
  readyIdentity,
  relayClosed,
  relayOpened,
  relayRefused,
  renewLease,
  signWithIdentity,
  stopAgent,
} from "@farside/protocol";
import { streamPair } from "@farside/protocol/testing";
import type { SignRequest } from "@farside/ssh";
import { afterEach, describe, expect, it } from "vitest";
import { AgentLink } from "./agent-link.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { forward, hello, hostKey, linkOver, ourKey, signRequest } from "./testing/played-agent.ts";
import { codeOf } from "./testing/session-probe.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource[Symbol.asyncDispose]();
});

/** A link to an agent that a test plays. */
async function connected({ leaseMs = 60_000, answersHeartbeats = true } = {}) {
  const [here, there] = streamPair();
  const events: SessionEventDraft[] = [];
  const signed: SignRequest[] = [];
  const readied: string[] = [];
  const heard: unknown[] = [];
  let heartbeats = 0;
  const agent = new Peer(new FramedStream(there), {
    requests: [
      handle(openForward, () => ({ bound: [{ kind: "tcp" as const, address: "127.0.0.1", port: 4444 }] })),
      handle(renewLease, () => {
        heartbeats += 1;
        return answersHeartbeats ? { openRelays: 0 } : new Promise(() => {});
      }),
      handle(stopAgent, () => ({ relaysCut: 0 })),
    ],
    events: [on(orchestratorHello, (data) => heard.push(data))],
  });
  agent.emit(agentHello, hello);
  const link = await AgentLink.connect(linkOver(here, { events, signed, readied, leaseMs }));
  open.push(link, agent);
  return { link, agent, events, signed, readied, heard, heartbeats: () => heartbeats };
}

describe("the link to an agent", () => {
  it("says hello, and knows the agent", async () => {
    const { link, heard, events } = await connected();
    await link.openForward({ ...forward, route: [] }, AbortSignal.timeout(60_000));
    expect(heard).toEqual([
      { protocol: 1, session: "s", leaseMs: 60_000, ttlMs: 0, idleMs: 0, logLevel: "warn", capabilities: [] },
    ]);
    expect(link.hello).toEqual(hello);
    expect(events).toEqual([]);
  });

  it("has the identity ready for a declared hop alone", async () => {
    const { link, agent, readied } = await connected();
    await expect(agent.request(readyIdentity, { hopId: "hop-1" })).rejects.toMatchObject({
      code: "sign.refused",
      data: { reason: "undeclared-hop" },
    });
    await link.openForward(forward, AbortSignal.timeout(60_000));
    await agent.request(readyIdentity, { hopId: "hop-1" });
    expect(readied).toEqual(["ready"]);
  });

  it("signs for a declared hop, with the bytes that were judged, and tells of it", async () => {
    const { link, agent, events, signed } = await connected();
    await link.openForward(forward, AbortSignal.timeout(60_000));
    const request = signRequest();
    const { signature } = await agent.request(signWithIdentity, request);
    expect(Buffer.from(signature).toString()).toBe("signature");
    expect(signed).toMatchObject([{ publicKey: ourKey, algorithm: "ssh-ed25519" }]);
    expect(Buffer.from(signed[0]?.data ?? []).equals(request.data)).toBe(true);
    expect(events).toEqual([
      {
        ...{ event: "sign", hop: "signer@sign:22", algorithm: "ssh-ed25519" },
        ...{ decision: "signed", reason: "declared-destination" },
      },
    ]);
  });

  it("signs nothing for a hop that was not declared, nor twice, and tells of it", async () => {
    const { link, agent, events, signed } = await connected();
    expect(await codeOf(agent.request(signWithIdentity, signRequest()))).toBe("sign.refused");
    await link.openForward(forward, AbortSignal.timeout(60_000));
    const request = signRequest();
    await agent.request(signWithIdentity, request);
    await expect(agent.request(signWithIdentity, request)).rejects.toMatchObject({
      code: "sign.refused",
      data: { reason: "replay" },
    });
    expect(signed.length).toBe(1);
    expect(events).toMatchObject([
      { reason: "undeclared-hop" },
      { decision: "signed" },
      { reason: "replay" },
    ]);
  });

  it("renews the lease three times in its length", async () => {
    const { link, heartbeats } = await connected({ leaseMs: 1_000 });
    const startedAt = performance.now();
    await expect.poll(heartbeats).toBeGreaterThanOrEqual(3);
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    await link.close();
    expect(await link.closed).toBeUndefined();
  });

  it("takes an agent for gone that is silent for a lease", async () => {
    const { link } = await connected({ leaseMs: 1_000, answersHeartbeats: false });
    expect(await link.closed).toMatchObject({ code: "agent.gone", leg: "jump" });
  });

  it("ends with what the agent says last", async () => {
    const reasons = {
      ttl: "session.limit-reached",
      "lease-expired": "lease.expired",
      signal: "agent.gone",
    } as const;
    for (const [reason, code] of Object.entries(reasons)) {
      const { link, agent } = await connected();
      agent.emit(agentEnding, { reason: reason as keyof typeof reasons });
      await agent.close();
      expect((await link.closed)?.code).toBe(code);
    }
  });

  it("does not take a stop that was asked for as a failure, but an end without a word", async () => {
    const asked = await connected();
    await asked.link.stop(0, AbortSignal.timeout(60_000));
    await asked.agent.close();
    expect(await asked.link.closed).toBeUndefined();
    const unasked = await connected();
    await unasked.agent.close();
    expect(await unasked.link.closed).toMatchObject({ code: "agent.gone" });
  });

  it("makes every text harmless, and counts", async () => {
    const { link, agent, events } = await connected();
    await link.openForward(forward, AbortSignal.timeout(60_000));
    const relay = { forwardId: "1", relayId: 1, peer: "\u001b[2J:1", uid: 0 };
    agent.emit(relayOpened, relay);
    agent.emit(relayRefused, { forwardId: "1", peer: "p", uid: 7, reason: "other-user", hint: "a\nb" });
    agent.emit(relayClosed, {
      ...{ ...relay, bytesIn: 3, bytesOut: 4, durationMs: 5, reason: "error" },
      error: { code: "x\u001b", message: "m\u0007", leg: "target" },
    });
    agent.emit(hopLost, { hopId: "hop-1", error: { code: "hop.lost", message: "\u202egone" } });
    await expect.poll(() => events.length).toBe(4);
    expect(events.flatMap((event) => Object.values(event)).join()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(events).toMatchObject([
      { event: "relay.open", forward: "1", peer: "\\x1b[2J:1" },
      { event: "relay.refused", uid: 7 },
      { event: "relay.close", bytesIn: 3, leg: "target" },
      { event: "warning", leg: "hop" },
    ]);
    expect(link.counters.get("1")).toEqual({
      ...{ openRelays: 0, totalRelays: 1, refusedRelays: 1, bytesIn: 3, bytesOut: 4 },
    });
  });

  it("makes an opening and an end of a relay that was over before it was told", async () => {
    const { link, agent, events } = await connected();
    await link.openForward(forward, AbortSignal.timeout(60_000));
    const relay = { forwardId: "1", relayId: 7, peer: "127.0.0.1:9", uid: 0 };
    agent.emit(relayClosed, {
      ...relay,
      bytesIn: 3,
      bytesOut: 4,
      durationMs: 5,
      reason: "end",
      isWhole: true,
    });
    await expect.poll(() => events.length).toBe(2);
    expect(events).toMatchObject([
      { event: "relay.open", forward: "1", relay: 7, peer: "127.0.0.1:9", uid: 0 },
      { event: "relay.close", forward: "1", relay: 7, bytesIn: 3, bytesOut: 4, reason: "end" },
    ]);
    expect(events[1]).not.toHaveProperty("isWhole");
    expect(link.counters.get("1")).toEqual({
      ...{ openRelays: 0, totalRelays: 1, refusedRelays: 0, bytesIn: 3, bytesOut: 4 },
    });
  });

  it("ends when the agent speaks of what there is not", async () => {
    const lies: ((agent: Peer) => void)[] = [
      (agent) => agent.emit(relayOpened, { forwardId: "2", relayId: 1, peer: "p", uid: 0 }),
      (agent) =>
        agent.emit(relayClosed, {
          ...{ forwardId: "2", relayId: 1, peer: "p", uid: 0, bytesIn: 0, bytesOut: 0, durationMs: 0 },
          ...{ reason: "end", isWhole: true },
        }),
      (agent) =>
        agent.emit(forwardTakenOver, { forwardId: METRICS_PLACE, address: "127.0.0.1:1", reason: "forced" }),
      (agent) => agent.emit(hopLost, { hopId: "hop-2", error: { code: "x", message: "y" } }),
      (agent) =>
        agent.emit(hopConnected, { hopId: "hop-1", user: "u", host: "h", port: 1, hostKey: ourKey.blob }),
    ];
    for (const lie of lies) {
      const { link, agent, events } = await connected();
      await link.openForward(forward, AbortSignal.timeout(60_000));
      lie(agent);
      expect(await link.closed).toMatchObject({ code: "protocol.bad-message", leg: "jump" });
      expect(events).toEqual([]);
    }
  });

  it("names a hop as it was declared, whatever the agent calls it", async () => {
    const { link, agent, events } = await connected();
    await link.openForward(forward, AbortSignal.timeout(60_000));
    agent.emit(hopConnected, { hopId: "hop-1", user: "root", host: "evil", port: 1, hostKey: hostKey.blob });
    await expect.poll(() => events.length).toBe(1);
    expect(events).toMatchObject([
      { event: "hop.connected", leg: "hop", user: "signer", host: "sign", port: 22 },
    ]);
  });
});
