import type { Duplex } from "node:stream";
import { CodedError, encodeFrame, FrameDecoder, FramedStream, type WireValue } from "@farside/protocol";
import { frozenMessages, hostileFrames, streamPair } from "@farside/protocol/testing";
import { afterEach, describe, expect, it } from "vitest";
import { AgentLink } from "./agent-link.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { makeTestKey } from "./testing/userauth.ts";

const digest = "a".repeat(64);
const hello = {
  ...{ protocol: { min: 1, max: 1 }, agentVersion: "0.1.0", digest, capabilities: ["command"], pid: 42 },
  ...{ node: "20.0.0", platform: "linux", hostname: "build", uid: 1000, user: "builder" },
};
const [hostKey, ourKey] = [makeTestKey("ssh-ed25519"), makeTestKey("ssh-ed25519")];
const hop: DeclaredHop = {
  ...{ hopId: "hop-1", user: "signer", host: "sign", port: 22 },
  ...{ hostKeys: [hostKey.blob], publicKeys: [ourKey] },
};

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource[Symbol.asyncDispose]();
});

/** A link with an open forward to an agent whose every byte is the test's. */
async function linked() {
  const [here, there] = streamPair() as [Duplex, Duplex];
  const events: SessionEventDraft[] = [];
  const signed: unknown[] = [];
  const received: WireValue[] = [];
  const decoder = new FrameDecoder();
  there.on("data", (chunk: Buffer) => {
    for (const message of decoder.push(chunk)) {
      received.push(message);
      const { kind, name, id } = message as { kind: string; name: string; id: number };
      if (kind === "request" && name === "agent.describe") {
        const nothing = { forwards: [], rssBytes: 0, uptimeMs: 0, eventsDropped: 0 };
        there.write(encodeFrame({ kind: "response", id, result: nothing }));
      }
      if (kind !== "request" || name !== "forward.open") continue;
      const bound = [{ kind: "tcp", address: "127.0.0.1", port: 4444 }];
      there.write(encodeFrame({ kind: "response", id, result: { bound } }));
    }
  });
  there.on("error", () => {});
  there.write(encodeFrame({ kind: "event", name: "hello.agent", data: hello }));
  const link = await AgentLink.connect({
    ...{ stream: new FramedStream(here), host: "builder@build", digest, emit: (event) => events.push(event) },
    hello: { session: "s", leaseMs: 60_000, ttlMs: 0, idleMs: 0, logLevel: "warn" },
    identity: {
      ready: async () => {},
      sign: async (request) => {
        signed.push(request);
        return Buffer.from("signature");
      },
    },
    signal: AbortSignal.timeout(60_000),
  });
  open.push(link);
  const forward = {
    ...{ forwardId: "1", bind: { kind: "loopback" as const, port: 4444 }, maxRelays: 0, route: [hop] },
    ...{
      target: { kind: "tcp" as const, host: "x", port: 1 },
      admission: { allowUsers: [], allowAnyUser: false },
    },
  };
  await link.openForward(forward, AbortSignal.timeout(60_000));
  return { link, there, events, signed, received };
}

const controls = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("an agent that sends", () => {
  it.each(hostileFrames.map(({ name, bytes }) => [name, bytes] as const))(
    "%s ends the channel with one typed error, and nothing is signed",
    async (_, bytes) => {
      const { link, there, events, signed } = await linked();
      there.write(bytes());
      const error = await link.closed;
      expect(error).toBeInstanceOf(CodedError);
      expect(error).toMatchObject({ code: "protocol.bad-message", leg: "jump" });
      expect(`${error?.message} ${error?.hint}`).not.toMatch(controls);
      expect(signed).toEqual([]);
      expect(events.filter(({ event }) => event === "error")).toEqual([]);
      expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
    },
  );
});

/** `value` with other text at one place, once for each text in it. */
function* withText(value: unknown, text: string): Generator<unknown> {
  if (typeof value === "string") yield text + value;
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return;
  for (const [key, inner] of Object.entries(value)) {
    for (const changed of withText(inner, text)) {
      yield Array.isArray(value)
        ? Object.assign([...value], { [key]: changed })
        : { ...value, [key]: changed };
    }
  }
}

/** Whatever an agent may tell, of this and of later versions: the frozen frames have one of each. */
const told = Object.values(frozenMessages as Record<string, unknown>).flatMap((message) => {
  const { kind, name, data } = message as { kind: string; name: string; data: Record<string, unknown> };
  return kind === "event" ? [[name, data] as const] : [];
});

describe("an agent whose texts are made for a terminal", () => {
  const evil = "\u001b]0;owned\u0007\u009b2J\u202e\u200b\r\n";
  it.each(told)("has none of it told by %s", async (name, good) => {
    // Of the forward and the hop that there are; else it is a lie, which ends the channel. An end without a reason of ours shows the agent's.
    const ours = {
      forwardId: "1",
      hopId: "hop-1",
      hostKey: hostKey.blob,
      ...(name === "agent.ending" && { reason: "fatal" }),
    };
    const known = Object.entries(ours).filter(([field]) => Object.hasOwn(good, field));
    for (const data of withText({ ...good, ...Object.fromEntries(known) }, evil)) {
      const { link, there, events, signed } = await linked();
      there.write(encodeFrame({ kind: "event", name, data: data as WireValue }));
      // An answer shows that it was read; a channel that breaks shows it too.
      await link.describe(AbortSignal.timeout(60_000)).catch(() => undefined);
      if (name !== "agent.ending") await link.close();
      there.end();
      const error = await link.closed;
      expect(JSON.stringify([events, error?.message, error?.hint, error?.data])).not.toMatch(
        /\\u001b|\\u0007/,
      );
      const texts = events.flatMap((event) => JSON.stringify(event)).join("");
      expect(`${texts}${error?.message ?? ""}`).not.toMatch(controls);
      expect(signed).toEqual([]);
    }
    expect(controls.test(evil)).toBe(true);
  });
});
