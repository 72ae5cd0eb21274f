import { FramedStream } from "@farside/protocol";
import { streamPair } from "@farside/protocol/testing";
import type { SignRequest } from "@farside/ssh";
import { afterEach, describe, expect, it } from "vitest";
import { AgentLink } from "./agent-link.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { digest, forward, hello, linkOver, signRequest } from "./testing/played-agent.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource[Symbol.asyncDispose]();
});

describe("a link whose first forward was asked behind the bundle", () => {
  /** The agent's end, frame by frame, and a link that is being made. */
  function opened({ agentDigest = digest, protocol = { min: 1, max: 1 } } = {}) {
    const [here, there] = streamPair();
    const events: SessionEventDraft[] = [];
    const signed: SignRequest[] = [];
    const stream = new FramedStream(there);
    const link = AgentLink.connect({
      ...linkOver(here, { events, signed }),
      opening: forward,
      onHello: ({ pid }) => events.push({ event: "warning", message: `hello of ${pid}` }),
    });
    link.then(
      (made) => open.push(made),
      () => {},
    );
    open.push(stream);
    const messages = stream.messages[Symbol.asyncIterator]();
    const next = async () => (await messages.next()).value as Record<string, unknown> | undefined;
    const frames = {
      hello: {
        ...{ kind: "event", name: "hello.agent" },
        data: { ...hello, digest: agentDigest, protocol, capabilities: [...hello.capabilities] },
      },
      sign: { kind: "request", id: 1, name: "identity.sign", params: { ...signRequest() } },
      answer: {
        ...{ kind: "response", id: 1 },
        result: { bound: [{ kind: "tcp", address: "127.0.0.1", port: 4444 }] },
      },
    };
    const say = (...names: (keyof typeof frames)[]) => names.map((name) => stream.send(frames[name]));
    return { link, say, next, events, signed };
  }

  it("takes hello, question and answer in one go, says no hello of its own, and asks nothing twice", async () => {
    const { link, say, next, events, signed } = opened();
    say("hello", "sign", "answer");
    const made = await link;
    const bound = await made.openForward(forward, AbortSignal.timeout(60_000));
    expect(bound).toEqual([{ kind: "tcp", address: "127.0.0.1", port: 4444 }]);
    expect(await next()).toMatchObject({ kind: "response", id: 1, result: { signature: expect.anything() } });
    expect(signed.length).toBe(1);
    expect(events).toMatchObject([{ message: "hello of 42" }, { event: "sign", decision: "signed" }]);
    // Another try, for a host key that was learned, is a request of its own.
    void made.openForward(forward, AbortSignal.timeout(60_000)).catch(() => {});
    expect(await next()).toMatchObject({ kind: "request", id: 2, name: "forward.open" });
  });

  it.each([
    ["another digest", { agentDigest: "b".repeat(64) }, "agent.digest-mismatch"],
    ["another version", { protocol: { min: 2, max: 2 } }, "protocol.version"],
  ])("signs nothing for an agent of %s, and is not made", async (_, of, code) => {
    const { link, say, events, signed } = opened(of);
    say("hello", "sign", "answer");
    await expect(link).rejects.toMatchObject({ code, leg: "jump" });
    expect([signed, events]).toEqual([[], []]);
  });

  it("signs nothing before the hello", async () => {
    const { link, say, next, signed, events } = opened();
    say("sign");
    expect(await next()).toMatchObject({ kind: "failure", error: { code: "sign.refused" } });
    say("hello");
    await link;
    expect(signed).toEqual([]);
    expect(events).toMatchObject([{ decision: "refused", reason: "undeclared-hop" }, { event: "warning" }]);
  });

  it("does not take an answer for one that comes before the hello", async () => {
    const { link, say } = opened();
    say("answer", "hello");
    await expect(link).rejects.toMatchObject({ code: "protocol.bad-message" });
  });
});
