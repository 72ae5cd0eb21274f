import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { connectDataSocket, fill, type ReadTarget, redirectReads } from "./data-socket.ts";
import { listen } from "./testing/tcp.ts";

class Target implements ReadTarget {
  readonly #memory = Buffer.alloc(1000);
  readonly #hash = createHash("sha256");
  bytes = 0;

  room(): Buffer {
    return this.#memory;
  }

  filled(count: number): void {
    this.bytes += count;
    this.#hash.update(this.#memory.subarray(0, count));
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

describe("a data socket", () => {
  it("is a stream like any other until it is taken over", async () => {
    const sent = randomBytes(3_000_000);
    await using server = await listen((socket) => void socket.end(sent));
    const socket = connectDataSocket({ port: server.port, host: "127.0.0.1" });
    expect((await buffer(socket)).equals(sent)).toBe(true);
  });

  it("waits while nobody reads it, without holding much", async () => {
    await using server = await listen((socket) => void socket.end(Buffer.alloc(8_000_000)));
    const socket = connectDataSocket({ port: server.port, host: "127.0.0.1" });
    await once(socket, "connect");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(socket.readableLength).toBeLessThan(300_000);
    expect((await buffer(socket)).length).toBe(8_000_000);
  });

  it("loses nothing when it is taken over in the midst of data", async () => {
    const sent = randomBytes(2_000_000);
    const digest = createHash("sha256").update(sent).digest("hex");
    await using server = await listen((socket) => void socket.end(sent));
    const socket = connectDataSocket({ port: server.port, host: "127.0.0.1" });
    const target = new Target();
    let chunks = 0;
    socket.on("data", (chunk: Buffer) => {
      fill(target, chunk);
      chunks += 1;
      if (chunks === 3) redirectReads(socket, target);
    });
    await once(socket, "end");
    expect(chunks).toBeGreaterThanOrEqual(3);
    expect(target.bytes).toBe(sent.length);
    expect(target.digest()).toBe(digest);
  });

  it("is the only kind whose reads can be redirected", async () => {
    await using server = await listen(() => {});
    const socket = connect({ port: server.port, host: "127.0.0.1" });
    expect(redirectReads(socket, new Target())).toBe(false);
    socket.destroy();
  });
});
