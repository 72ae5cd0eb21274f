import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { ChunkPump } from "./chunk-pump.ts";
import { MAX_COMMAND_CHUNK_BYTES, MAX_COMMAND_CHUNKS } from "./limits.ts";

describe("a chunk pump", () => {
  test("sends every byte in order, in chunks that fit", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_001 }, (_, index) => index % 251));
    const got: Uint8Array[] = [];
    const pump = new ChunkPump(Readable.from([bytes], { objectMode: false }), async (data) => {
      got.push(Uint8Array.from(data));
      return { isOpen: true };
    });
    expect(await pump.done).toBe("end");
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
    expect(Math.max(...got.map(({ length }) => length))).toBe(MAX_COMMAND_CHUNK_BYTES);
  });

  test("stops reading its source while nobody answers, and goes on when somebody does", async () => {
    const source = new PassThrough();
    const answers: (() => void)[] = [];
    const pump = new ChunkPump(
      source,
      () => new Promise((resolve) => answers.push(() => resolve({ isOpen: true }))),
    );
    for (let count = 0; count < 3 * MAX_COMMAND_CHUNKS; count += 1) {
      source.write(Buffer.alloc(MAX_COMMAND_CHUNK_BYTES));
      await new Promise(setImmediate);
    }
    expect(pump.inFlight).toBe(MAX_COMMAND_CHUNKS);
    expect(answers).toHaveLength(MAX_COMMAND_CHUNKS);
    source.end();
    const drained = setInterval(() => answers.shift()?.(), 1);
    expect(await pump.done).toBe("end");
    clearInterval(drained);
    expect(pump.sent).toBeGreaterThan(MAX_COMMAND_CHUNKS);
  });

  test.each([
    ["says that it is closed", async () => ({ isOpen: false })],
    [
      "fails",
      async () => {
        throw new Error("gone");
      },
    ],
  ])("is over when the other side %s", async (_, send) => {
    const source = new PassThrough();
    const pump = new ChunkPump(source, send);
    source.write("x");
    expect(await pump.done).toBe("closed");
    expect(source.destroyed).toBe(false);
  });

  test("stops while its source is silent", async () => {
    const pump = new ChunkPump(new PassThrough(), async () => ({ isOpen: true }));
    pump.stop();
    expect(await pump.done).toBe("stopped");
  });

  test("takes a source that breaks for one that ends", async () => {
    const source = new PassThrough();
    const pump = new ChunkPump(source, async () => ({ isOpen: true }));
    source.destroy(new Error("EIO"));
    expect(await pump.done).toBe("end");
  });
});
