import { PassThrough, Writable } from "node:stream";
import { isCodedError } from "@farside/protocol";
import { expect, test } from "vitest";
import { LineSink, openDescriptor } from "./line-sink.ts";

/** Takes nothing until `read()` is called. */
function slowReader() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  let open = false;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      taken.push(chunk);
      if (open) done();
      else waiting.push(() => done());
    },
  });
  const read = () => {
    open = true;
    waiting.shift()?.();
  };
  return { stream, taken, read };
}

test("writes lines in order", async () => {
  const stream = new PassThrough();
  const sink = new LineSink(stream);
  sink.write("a");
  sink.write("b");
  await sink.flush(1000);
  expect(String(stream.read())).toBe("a\nb\n");
});

test("with a reader that stands still, droppable lines are dropped, counted, and told about later", async () => {
  const { stream, taken, read } = slowReader();
  const sink = new LineSink(stream, (dropped) => `dropped ${dropped}`);
  for (let i = 0; i < 1500; i += 1) sink.write(`relay ${i}`, { droppable: true });
  sink.write("ready");
  read();
  await sink.flush(1000);
  expect(taken.filter((line) => line.startsWith("relay"))).toHaveLength(1000);
  expect(taken).toContain("ready\n");
  expect(taken.at(-1)).toBe("dropped 500\n");
});

test("memory stays bounded whatever is written, and the last line is kept", async () => {
  const { stream, taken, read } = slowReader();
  const sink = new LineSink(stream);
  for (let i = 0; i < 5000; i += 1) sink.write("warning");
  sink.write("receipt", { last: true });
  read();
  await sink.flush(1000);
  expect(taken).toHaveLength(2001);
  expect(taken.at(-1)).toBe("receipt\n");
});

test("a reader that is gone is no error, and a flush does not wait for it", async () => {
  const stream = new PassThrough();
  const sink = new LineSink(stream);
  stream.destroy(new Error("EPIPE"));
  await new Promise((resolve) => stream.once("close", resolve));
  sink.write("x");
  await sink.flush(60_000);
  expect(sink.isGone).toBe(true);
});

test("a flush ends at its deadline where nobody reads", async () => {
  const { stream } = slowReader();
  const sink = new LineSink(stream);
  sink.write("x");
  await sink.flush(10);
  expect(sink.isGone).toBe(false);
});

test("a descriptor that isn't open is a usage error that says how to open it", () => {
  let thrown: unknown;
  try {
    openDescriptor(999, "--events");
  } catch (error) {
    thrown = error;
  }
  expect(isCodedError(thrown) && thrown.code).toBe("usage.invalid");
  expect(isCodedError(thrown) && thrown.hint).toContain("999>");
});
