import { describe, expect, test } from "vitest";
import { isCodedError } from "../errors.ts";
import type { MessageStream, WireValue } from "../message-stream.ts";

export interface MessageStreamPair {
  readonly a: MessageStream;
  readonly b: MessageStream;
  /** Breaks the carrier between them, so that it ends without a goodbye. */
  readonly breakCarrier: () => void;
  /** Releases whatever the two do not own. */
  readonly release?: () => Promise<void>;
}

/** What every carrier of messages must do; `make` gives two joined ones. For tests only. */
export function describeMessageStream(name: string, make: () => Promise<MessageStreamPair>): void {
  const withPair = (run: (pair: MessageStreamPair) => Promise<void>) => async () => {
    const pair = await make();
    try {
      await run(pair);
    } finally {
      await Promise.all([pair.a.close(), pair.b.close()]);
      await pair.release?.();
    }
  };

  describe(`${name} as a message stream`, () => {
    test(
      "brings messages in order, in both directions",
      withPair(async ({ a, b }) => {
        const sent = Array.from({ length: 50 }, (_, index) => ({ index, text: "x".repeat(index) }));
        const fromA = take(b, sent.length);
        const fromB = take(a, sent.length);
        for (const message of sent) await Promise.all([a.send(message), b.send(message)]);
        expect(await fromA).toEqual(sent);
        expect(await fromB).toEqual(sent);
      }),
    );

    test(
      "brings a large message whole",
      withPair(async ({ a, b }) => {
        const got = take(b, 1);
        const bytes = new Uint8Array(900_000).fill(7);
        await Promise.all([a.send({ bytes }), got]);
        expect(((await got)[0] as { bytes: Uint8Array }).bytes.length).toBe(bytes.length);
      }),
    );

    test(
      "holds the sender back while nobody reads",
      withPair(async ({ a, b }) => {
        const isDone = { value: false };
        // More than the socket buffers of any system hold.
        const count = 200;
        const sending = (async () => {
          for (let index = 0; index < count; index += 1) await a.send({ bytes: new Uint8Array(100_000) });
          isDone.value = true;
        })();
        const reader = b.messages[Symbol.asyncIterator]();
        await reader.next();
        expect(isDone.value).toBe(false);
        for (let index = 1; index < count; index += 1) await reader.next();
        await sending;
        expect(isDone.value).toBe(true);
      }),
    );

    test(
      "ends the messages of both sides when one closes, after what was sent",
      withPair(async ({ a, b }) => {
        await a.send({ last: true });
        const got = all(b);
        const own = all(a);
        await a.close();
        expect(await got).toEqual([{ last: true }]);
        expect(await own).toEqual([]);
      }),
    );

    test(
      "refuses to send once it is closed, and closing twice is one close",
      withPair(async ({ a }) => {
        const first = a.close();
        expect(a.close()).toBe(first);
        await first;
        await a[Symbol.asyncDispose]();
        await expect(a.send({})).rejects.toMatchObject({ code: "agent.gone" });
      }),
    );

    test(
      "fails both sides with nothing but coded errors when the carrier breaks",
      withPair(async ({ a, b, breakCarrier }) => {
        const ends = Promise.allSettled([all(a), all(b)]);
        breakCarrier();
        for (const end of await ends) {
          expect(end.status === "fulfilled" || isCodedError(end.reason)).toBe(true);
        }
        await expect(sendUntilRefused(a)).resolves.toBe("agent.gone");
      }),
    );
  });
}

async function take(stream: MessageStream, count: number): Promise<WireValue[]> {
  const messages: WireValue[] = [];
  for await (const message of stream.messages) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

async function all(stream: MessageStream): Promise<WireValue[]> {
  const messages: WireValue[] = [];
  for await (const message of stream.messages) messages.push(message);
  return messages;
}

/** A break is known late: the first messages after it may still go into the void. */
async function sendUntilRefused(stream: MessageStream): Promise<unknown> {
  for (;;) {
    try {
      await stream.send({ bytes: new Uint8Array(10_000) });
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
