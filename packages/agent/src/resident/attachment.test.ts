import { CodedError, eventsDropped, hopLost, MAX_QUEUED_EVENTS, renewLease } from "@farside/protocol";
import { describe, expect, test } from "vitest";
import { Attachment } from "./attachment.ts";

type Channel = Parameters<Attachment["attach"]>[0];

interface FakeChannel {
  readonly channel: Channel;
  readonly told: unknown[];
  readonly lose: () => void;
}

/** A control channel whose answers are the test's. */
function fakeChannel(answer: () => Promise<unknown> = async () => ({ openRelays: 0 })): FakeChannel {
  const told: unknown[] = [];
  let lose: () => void = () => {};
  const closed = new Promise<undefined>((resolve) => {
    lose = () => resolve(undefined);
  });
  const channel = {
    emit: (_definition: unknown, data: unknown) => told.push(data),
    request: answer,
    closed,
  } as unknown as Channel;
  return { channel, told, lose };
}

const error = { code: "hop.lost", message: "gone" };
const lost = (hopId: string) => [hopLost, { hopId, error }] as const;

describe("the attachment of an orchestrator", () => {
  test("gives events to who is attached, and keeps them in order for the next meanwhile", async () => {
    const attachment = new Attachment(() => true);
    attachment.emit(...lost("1"));
    const first = fakeChannel();
    expect(attachment.attach(first.channel)).toBeUndefined();
    attachment.emit(...lost("2"));
    first.lose();
    await first.channel.closed;
    await Promise.resolve();
    attachment.emit(...lost("3"));
    const second = fakeChannel();
    attachment.attach(second.channel);
    expect(first.told).toMatchObject([{ hopId: "1" }, { hopId: "2" }]);
    expect(second.told).toMatchObject([{ hopId: "3" }]);
  });

  test("takes over from a channel that is still open, and goes on when that one ends", async () => {
    const attachment = new Attachment(() => true);
    const first = fakeChannel();
    const second = fakeChannel();
    attachment.attach(first.channel);
    expect(attachment.attach(second.channel)).toBe(first.channel);
    first.lose();
    await first.channel.closed;
    expect(attachment.channel).toBe(second.channel);
  });

  test("drops what is too much, counts it, and says so", () => {
    const attachment = new Attachment(() => true);
    for (let index = 0; index < MAX_QUEUED_EVENTS + 5; index += 1) attachment.emit(...lost("1"));
    attachment.emit(...lost("kept"), { keep: true });
    expect(attachment.dropped).toBe(5);
    const { channel, told } = fakeChannel();
    attachment.attach(channel);
    expect(told).toHaveLength(MAX_QUEUED_EVENTS + 2);
    expect(told.slice(-2)).toEqual([{ hopId: "kept", error }, { count: 5 }]);
    expect(eventsDropped.name).toBe("dropped");
  });

  test("lets requests wait for an orchestrator, and asks the next where one is lost before it answers", async () => {
    const attachment = new Attachment(() => true);
    const asking = attachment.request(renewLease, {});
    const gone = new CodedError("agent.gone", "gone");
    const first = fakeChannel(() => Promise.reject(gone));
    attachment.attach(first.channel);
    first.lose();
    const second = fakeChannel(async () => ({ openRelays: 7 }));
    await expect.poll(() => attachment.channel).toBeUndefined();
    attachment.attach(second.channel);
    expect(await asking).toEqual({ openRelays: 7 });
  });

  test("rejects a request where nobody is expected, where the answer is a failure, and at its signal", async () => {
    const alone = new Attachment(() => false);
    await expect(alone.request(renewLease, {})).rejects.toMatchObject({ code: "hop.needs-signature" });
    const attachment = new Attachment(() => true);
    const reason = new Error("no more");
    await expect(attachment.request(renewLease, {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    attachment.attach(fakeChannel(() => Promise.reject(new CodedError("sign.refused", "no"))).channel);
    await expect(attachment.request(renewLease, {})).rejects.toMatchObject({ code: "sign.refused" });
  });
});
