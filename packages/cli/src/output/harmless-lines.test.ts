import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { HarmlessLines } from "./harmless-lines.ts";

/** What comes of `bytes`, in chunks of `size`. */
function through(bytes: Buffer, size: number): Promise<string> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  return text(Readable.from(chunks).pipe(new HarmlessLines()));
}

test("what a host writes can't drive a terminal, and stays what it is otherwise, in whatever chunks it comes", async () => {
  const lines = Buffer.from('{"at":"größe"}\n\u001b[2J\u202egone\n\nno end');
  for (const size of [1, 2, 5, 1000])
    expect(await through(lines, size)).toBe('{"at":"größe"}\n\\x1b[2J\\u{202e}gone\n\nno end\n');
});

test("a line without an end costs no memory", async () => {
  const endless = (await through(Buffer.alloc(100_000, "x"), 7_000)).split("\n");
  expect(endless.length).toBeGreaterThan(4);
  expect(Math.max(...endless.map((line) => line.length))).toBeLessThanOrEqual(16 * 1024);
});
