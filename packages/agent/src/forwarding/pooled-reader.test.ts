import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { PooledReader } from "./pooled-reader.ts";
import { BUSY_READ_BYTES, ReadPool } from "./read-pool.ts";

/** A sink that takes each write when it is told to. */
class HeldSink extends Writable {
  readonly written: Buffer[] = [];
  readonly #held: (() => void)[] = [];
  isHolding = false;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    if (this.isHolding) this.#held.push(done);
    else done();
  }

  release(): void {
    for (const done of this.#held.splice(0)) done();
  }
}

function reading() {
  const pool = new ReadPool();
  const reader = new PooledReader(pool);
  const sink = new HeldSink();
  const source = { resumed: 0, resume: () => (source.resumed += 1) };
  let counted = 0;
  reader.start(source, sink as never, (bytes) => {
    counted += bytes;
  });
  /** What the kernel would do: fills the current buffer with `bytes` bytes. */
  const read = (bytes: number, fill = "a") => {
    const buffer = (reader.onread.buffer as () => Buffer)();
    buffer.fill(fill, 0, bytes);
    return { goesOn: reader.onread.callback(bytes, buffer), size: buffer.length };
  };
  return { pool, reader, sink, source, read, counted: () => counted };
}

describe("the pooled reads of a socket", () => {
  test("use a small buffer while little comes, a big one of the pool when a read was full, and give it back", () => {
    const { pool, read, counted } = reading();
    expect(read(10)).toEqual({ goesOn: true, size: 4096 });
    expect(read(4096)).toEqual({ goesOn: true, size: 4096 });
    expect(pool.lent).toBe(1);
    expect(read(BUSY_READ_BYTES)).toEqual({ goesOn: true, size: BUSY_READ_BYTES });
    expect(read(100)).toEqual({ goesOn: true, size: BUSY_READ_BYTES });
    expect(pool.lent).toBe(0);
    expect(read(1)).toEqual({ goesOn: true, size: 4096 });
    expect(counted()).toBe(10 + 4096 + BUSY_READ_BYTES + 100 + 1);
  });

  test("stop while the sink holds a buffer and go on when it has let go of it", async () => {
    const { sink, source, read } = reading();
    sink.isHolding = true;
    const before = source.resumed;
    expect(read(20).goesOn).toBe(false);
    await new Promise(setImmediate);
    expect(source.resumed).toBe(before);
    sink.release();
    await new Promise(setImmediate);
    expect(source.resumed).toBe(before + 1);
  });

  test("hand every byte on, whatever the sizes of the reads", async () => {
    const { sink, read } = reading();
    const sizes = [1, 4096, 70_000, 4096, 3, 4096, BUSY_READ_BYTES, 5];
    sizes.forEach((size, index) => {
      read(size, String(index));
    });
    await new Promise(setImmediate);
    const expected = sizes.map((size, index) => String(index).repeat(size)).join("");
    expect(Buffer.concat(sink.written).toString()).toBe(expected);
  });

  test("give the big buffer back at the release, and not to others while a write still refers to it", () => {
    const { pool, reader, sink, read } = reading();
    read(4096);
    sink.isHolding = true;
    read(BUSY_READ_BYTES);
    reader.release();
    reader.release();
    expect(pool.lent).toBe(0);
    const fresh = pool.take();
    expect(fresh.equals(sink.written.at(-1) ?? Buffer.alloc(0))).toBe(false);
  });

  test("leave their small buffer to the next connection, but not while a write still refers to it", async () => {
    const { pool, reader, sink, read } = reading();
    const small = (reader.onread.buffer as () => Buffer)();
    sink.isHolding = true;
    read(10);
    reader.release();
    expect(pool.takeSmall() === small).toBe(false);
    const next = reading();
    const free = (next.reader.onread.buffer as () => Buffer)();
    next.read(10);
    await new Promise(setImmediate);
    next.reader.release();
    next.reader.release();
    expect([next.pool.takeSmall() === free, next.pool.takeSmall() === free]).toEqual([true, false]);
    expect((next.reader.onread.buffer as () => Buffer)().length).toBe(0);
  });

  test("refuse to lose bytes that are read before there is anybody to read for", () => {
    const reader = new PooledReader(new ReadPool());
    expect(() => reader.onread.callback(1, Buffer.alloc(1))).toThrow("before the reader was started");
  });
});
