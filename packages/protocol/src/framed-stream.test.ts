import { once } from "node:events";
import { connect, createServer } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { encodeFrame } from "./frame.ts";
import { FramedStream } from "./framed-stream.ts";
import type { WireValue } from "./message-stream.ts";
import { chunked, cutAfter, describeMessageStream, streamPair } from "./testing/index.ts";

describeMessageStream("a framed stream over a stream pair", async () => {
  const [a, b] = streamPair();
  return { a: new FramedStream(a), b: new FramedStream(b), breakCarrier: () => a.destroy() };
});

describeMessageStream("a framed stream that is read in pieces of 3 bytes", async () => {
  const [a, b] = streamPair(1000);
  return {
    a: new FramedStream(chunked(a, 3)),
    b: new FramedStream(chunked(b, 3)),
    breakCarrier: () => a.destroy(),
  };
});

describeMessageStream("a framed stream over TCP", async () => {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[socket]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
  return {
    a: new FramedStream(client),
    b: new FramedStream(socket),
    breakCarrier: () => client.resetAndDestroy(),
    release: async () => {
      server.close();
      await once(server, "close");
    },
  };
});

describe("FramedStream", () => {
  test("decodes the bytes that came behind the preamble first", async () => {
    const [a, b] = streamPair();
    const frame = encodeFrame({ first: true });
    const stream = new FramedStream(b, { initial: frame.subarray(0, 5) });
    a.write(frame.subarray(5));
    a.end(encodeFrame({ second: true }));
    expect(await collect(stream)).toEqual({ messages: [{ first: true }, { second: true }], code: undefined });
  });

  test("takes a readable and a writable side", async () => {
    const readable = new PassThrough();
    const writable = new PassThrough();
    const stream = new FramedStream({ readable, writable });
    await stream.send({ out: 1 });
    readable.end(encodeFrame({ in: 1 }));
    expect(await collect(stream)).toEqual({ messages: [{ in: 1 }], code: undefined });
    expect(writable.read()).toEqual(encodeFrame({ out: 1 }));
    await stream.close();
    expect(readable.destroyed && writable.destroyed).toBe(true);
  });

  test("fails with protocol.bad-message where the carrier ends within a frame", async () => {
    const [a, b] = streamPair();
    const stream = new FramedStream(cutAfter(b, 20));
    a.write(encodeFrame({ ok: true }));
    a.write(encodeFrame({ text: "more than twenty bytes in all" }));
    expect(await collect(stream)).toEqual({ messages: [{ ok: true }], code: "protocol.bad-message" });
    await stream.close();
  });

  test("fails with agent.gone where the carrier breaks", async () => {
    const [a, b] = streamPair();
    const stream = new FramedStream(cutAfter(b, 12, "reset"));
    a.write(encodeFrame({ text: "more than twelve bytes in all" }));
    expect(await collect(stream)).toEqual({ messages: [], code: "agent.gone" });
    await stream.close();
  });

  test("fails with protocol.bad-message at garbage, after the messages before it", async () => {
    const [a, b] = streamPair();
    const stream = new FramedStream(b);
    a.write(Buffer.concat([encodeFrame({ ok: true }), Buffer.from("bash: warning: setlocale")]));
    expect(await collect(stream)).toEqual({ messages: [{ ok: true }], code: "protocol.bad-message" });
    await stream.close();
  });

  test("closes in bounded time though the other side reads nothing", async () => {
    const [a, b] = streamPair(16);
    const stream = new FramedStream(a);
    const sending = stream.send({ bytes: new Uint8Array(100_000) });
    const [outcome] = await Promise.allSettled([sending, stream.close()]);
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "agent.gone" } });
    expect(a.destroyed && b.destroyed).toBe(true);
  });

  test("puts what is sent in one go into one write", async () => {
    const writes: number[] = [];
    const carrier = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => {
        writes.push(1);
        done();
      },
      writev: (chunks, done) => {
        writes.push(chunks.length);
        done();
      },
    });
    const stream = new FramedStream(carrier);
    await Promise.all([stream.send({ a: 1 }), stream.send({ a: 2 }), stream.send({ a: 3 })]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toEqual([3]);
    void stream.send({ a: 4 });
    await stream.close();
    expect(writes).toEqual([3, 1]);
  });

  test("leaves no listener behind on a carrier after many sends that had to wait", async () => {
    const [a, b] = streamPair(16);
    const stream = new FramedStream(a);
    b.resume();
    const before = a.listenerCount("drain") + a.listenerCount("close");
    for (let index = 0; index < 100; index += 1) await stream.send({ bytes: new Uint8Array(100) });
    expect(a.listenerCount("drain") + a.listenerCount("close")).toBe(before);
    await stream.close();
  });
});

async function collect(stream: FramedStream): Promise<{ messages: WireValue[]; code: unknown }> {
  const messages: WireValue[] = [];
  try {
    for await (const message of stream.messages) messages.push(message);
  } catch (error) {
    return { messages, code: (error as { code?: unknown }).code };
  }
  return { messages, code: undefined };
}
