import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { SMALL_READ } from "./limits.ts";
import { type LocalReader, takeLocal } from "./local-side.ts";
import { dial, listen, until } from "./testing/tcp.ts";

/** Collects what is read, and stops reading after each read until `isOpen`. */
class Collector implements LocalReader {
  readonly reads: Buffer[] = [];
  isOpen = true;

  read(bytes: Buffer, from: number, to: number): boolean {
    this.reads.push(Buffer.from(bytes.subarray(from, to)));
    return this.isOpen;
  }

  nextRead(): number {
    return SMALL_READ;
  }

  get text(): string {
    return Buffer.concat(this.reads).toString();
  }
}

async function accepted(pauseOnConnect: boolean) {
  const listener = await listen(() => {}, { pauseOnConnect });
  const arrived = once(listener.server, "connection");
  const client = await dial(listener.port);
  const [socket] = (await arrived) as [Socket];
  return { listener, client, socket, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

describe("the local side of a relay", () => {
  it("reads an accepted socket into the scratch buffer", async () => {
    await using given = await accepted(true);
    const reader = new Collector();
    const { socket } = given;
    expect(takeLocal(socket, reader)).toBe("scratch");
    given.client.end("hello");
    await once(socket.resume(), "end");
    expect(reader.text).toBe("hello");
    socket.end("bye");
    expect(String((await once(given.client, "data"))[0])).toBe("bye");
    given.client.destroy();
  });

  it("reads a socket as a stream where it can't be taken apart, with the same result", async () => {
    await using given = await accepted(true);
    // As on a Node whose handles can't be given a buffer.
    Object.defineProperty((given.socket as unknown as { _handle: object })._handle, "useUserBuffer", {
      value: undefined,
    });
    const reader = new Collector();
    const { socket } = given;
    expect(takeLocal(socket, reader)).toBe("stream");
    reader.isOpen = false;
    given.client.write("first");
    socket.resume();
    await until(() => reader.text === "first", "the first read");
    given.client.end(" second");
    await new Promise((resolve) => setImmediate(resolve));
    expect(reader.text).toBe("first");
    reader.isOpen = true;
    await once(socket.resume(), "end");
    expect(reader.text).toBe("first second");
    given.client.destroy();
    socket.destroy();
  });

  it("takes a socket that holds data already as a stream, and loses none of it", async () => {
    await using given = await accepted(false);
    given.client.end("early");
    await once(given.socket, "readable");
    const reader = new Collector();
    const { socket } = given;
    expect(takeLocal(socket, reader)).toBe("stream");
    await once(socket.resume(), "end");
    expect(reader.text).toBe("early");
    given.client.destroy();
    socket.destroy();
  });

  it("stops reading when the reader says so", async () => {
    await using given = await accepted(true);
    const reader = new Collector();
    reader.isOpen = false;
    const { socket } = given;
    takeLocal(socket, reader);
    given.client.write(Buffer.alloc(8 * SMALL_READ));
    socket.resume();
    await until(() => reader.reads.length === 1, "the first read");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reader.reads).toHaveLength(1);
    socket.resume();
    await until(() => reader.reads.length === 2, "the second read");
    expect(reader.text).toHaveLength(2 * SMALL_READ);
    given.client.destroy();
    socket.destroy();
  });
});
