import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type net from "node:net";
import { Duplex } from "node:stream";
import { streamPair } from "@farside/protocol/testing";
import { describe, expect, test } from "vitest";
import { type RelayMode, relayTo } from "../testing/relay-front.ts";
import { connect, readAll, serveTcp } from "../testing/tcp.ts";
import { within } from "../testing/within.ts";
import { readPool } from "./read-pool.ts";
import { Relay } from "./relay.ts";

const MEBIBYTE = 1024 * 1024;

describe.each<RelayMode>(["pooled", "stream"])("a relay of two TCP connections (%s)", (mode) => {
  /** A client joined to a server's socket through a relay. */
  async function joined() {
    const server = await serveTcp();
    const front = await relayTo({ host: "127.0.0.1", port: server.port }, mode);
    const client = await connect({ host: "127.0.0.1", port: front.port });
    const target = await server.first;
    await front.begun;
    return {
      client,
      target,
      front,
      async [Symbol.asyncDispose]() {
        client.destroy();
        await front[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  }

  test("passes on the client's end and leaves the way back open", async () => {
    await using pair = await joined();
    pair.client.end("question");
    expect((await readAll(pair.target)).toString()).toBe("question");
    pair.target.end("answer");
    expect((await readAll(pair.client)).toString()).toBe("answer");
    expect(await pair.front.outcome).toEqual({ reason: "end" });
    expect(pair.front.relays[0]?.bytes).toEqual({ in: 8, out: 6 });
  });

  test("passes on the target's end and leaves the way there open", async () => {
    await using pair = await joined();
    pair.target.end("greeting");
    expect((await readAll(pair.client)).toString()).toBe("greeting");
    pair.client.end("late question");
    expect((await readAll(pair.target)).toString()).toBe("late question");
    expect(await pair.front.outcome).toEqual({ reason: "end" });
  });

  test("carries a connection without a byte to its end", async () => {
    await using pair = await joined();
    const received = Promise.all([readAll(pair.target), readAll(pair.client)]);
    pair.client.end();
    pair.target.end();
    expect(await received).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
    expect(await pair.front.outcome).toEqual({ reason: "end" });
    expect(pair.front.relays[0]?.bytes).toEqual({ in: 0, out: 0 });
  });

  test("resets the target when the client resets", async () => {
    await using pair = await joined();
    pair.client.resetAndDestroy();
    await expect(readAll(pair.target)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await pair.front.outcome).toEqual({ reason: "reset" });
  });

  test("resets the client when the target resets", async () => {
    await using pair = await joined();
    pair.target.resetAndDestroy();
    await expect(readAll(pair.client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await pair.front.outcome).toEqual({ reason: "reset" });
  });

  test("resets both sides when it is cut, also where one of them has ended", async () => {
    await using pair = await joined();
    pair.client.end("all of it");
    expect((await readAll(pair.target)).toString()).toBe("all of it");
    pair.front.relays[0]?.cut();
    await expect(readAll(pair.client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await pair.front.outcome).toEqual({ reason: "closed" });
  });

  test("gives a slow client everything that the target sent before it reset its own reading side", async () => {
    await using pair = await joined();
    const sent = randomBytes(8 * MEBIBYTE);
    pair.target.end(sent);
    const received = readAll(pair.client);
    const digest = createHash("sha256")
      .update(await received)
      .digest("hex");
    expect(digest).toBe(createHash("sha256").update(sent).digest("hex"));
    // The target is gone for good; what the client still sends is answered by a reset, not by silence. As on a direct
    // connection it is a further write that learns of it.
    pair.target.destroy();
    const writing = setInterval(() => pair.client.write("too late"), 5);
    const closed = new Promise((resolve) => pair.client.once("close", resolve));
    await within(closed, () => "the client was not closed");
    clearInterval(writing);
    expect(await pair.front.outcome).toEqual({ reason: "reset" });
  });

  test("holds a bounded amount for a side that does not read, and loses nothing of it", async () => {
    await using pair = await joined();
    const chunk = Buffer.alloc(MEBIBYTE, "x");
    let written = 0;
    let isFull = false;
    // Writes until nothing moves any more: the kernel's buffers and the relay's are full.
    while (!isFull) {
      const isTaken = pair.target.write(chunk);
      written += chunk.length;
      isFull = !isTaken && !(await drainedWithin(pair.target, 300));
    }
    const relay = pair.front.relays[0];
    expect(relay?.bytes.out).toBeLessThan(written);
    const heldByRelay = relay?.bytes.out ?? 0;
    expect(heldByRelay).toBeLessThan(64 * MEBIBYTE);
    pair.target.end();
    expect((await readAll(pair.client)).length).toBe(written);
  });

  test("carries 64 MiB each way at once, unchanged", async () => {
    await using pair = await joined();
    const size = 64 * MEBIBYTE;
    const up = randomBytes(size);
    const down = randomBytes(size);
    const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    const received = Promise.all([readAll(pair.target), readAll(pair.client)]);
    pair.client.end(up);
    pair.target.end(down);
    const [atTarget, atClient] = await received;
    expect(sha256(atTarget)).toBe(sha256(up));
    expect(sha256(atClient)).toBe(sha256(down));
    expect(pair.front.relays[0]?.bytes).toEqual({ in: size, out: size });
    await pair.front.outcome;
    expect(readPool.lent).toBe(0);
  });
});

describe("a relay to a stream that is no socket", () => {
  test("resets the client when the stream is destroyed without having ended", async () => {
    const [end, far] = streamPair();
    await using server = await serveTcp();
    const client = await connect({ host: "127.0.0.1", port: server.port });
    const relay = new Relay({ stream: await server.first }, { stream: end });
    far.destroy();
    await expect(readAll(client)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await relay.closed).toEqual({ reason: "reset" });
  });

  test("gives a slow client the rest when the stream has ended and is closed", async () => {
    const [end, far] = streamPair();
    const taken: string[] = [];
    let take = () => {};
    const client = new Duplex({
      read: () => {},
      write: (chunk, _encoding, done) => {
        taken.push(String(chunk));
        take = done;
      },
    });
    const relay = new Relay({ stream: client }, { stream: end });
    far.end("the rest");
    await once(end, "end");
    // What a host does that closes its channel: nothing more can be sent there.
    end.destroy();
    await new Promise(setImmediate);
    expect([taken, client.destroyed]).toEqual([["the rest"], false]);
    take();
    expect(await relay.closed).toEqual({ reason: "reset" });
    expect([client.writableFinished, client.destroyed]).toEqual([true, true]);
  });

  test("is over when what the stream leads through has let go, or when it is cut", async () => {
    for (const how of ["let go", "cut"] as const) {
      let letGo = () => {};
      const going = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const [client, farClient] = streamPair();
      const [target, farTarget] = streamPair();
      const relay = new Relay({ stream: client }, { stream: target, letGo: going });
      const order: string[] = [];
      const closed = relay.closed.then(({ reason }) => order.push(reason));
      for (const far of [farClient, farTarget]) far.resume().end();
      await once(target, "close");
      await new Promise(setImmediate);
      order.push(how);
      if (how === "cut") relay.cut();
      else letGo();
      await closed;
      expect(order).toEqual([how, how === "cut" ? "closed" : "end"]);
    }
  });

  test("tells the error that the stream was destroyed with", async () => {
    const [end] = streamPair();
    await using server = await serveTcp();
    const client = await connect({ host: "127.0.0.1", port: server.port });
    const relay = new Relay({ stream: await server.first }, { stream: end });
    const error = new Error("the hop is gone");
    end.destroy(error);
    expect(await relay.closed).toEqual({ reason: "error", error });
    client.destroy();
  });
});

async function drainedWithin(socket: net.Socket, ms: number): Promise<boolean> {
  return within(once(socket, "drain"), () => "full", ms).then(
    () => true,
    () => false,
  );
}
