import { MAX_FORWARDS } from "@farside/protocol";
import { expect, test } from "vitest";
import { readForwards } from "./read-forwards.ts";

test.each([
  [["4444:a:1", "4444:b:2"]],
  [["4444:a:1", "127.0.0.1:4444:b:2"]],
  [["[::1]:4444:a:1", "localhost:4444:b:2"]],
  [["/tmp/x.sock:a:1", "/tmp/x.sock:b:2"]],
  [["*:4444:a:1", ":4444:b:2"]],
])("a place that %j ask for twice is told before anything is started", (forwards) => {
  expect(() => readForwards({ forwards })).toThrow(/is that of another -L already/);
});

test("the port for metrics is a place, too", () => {
  expect(() => readForwards({ forwards: "9100:a:1", metricsPort: 9100 })).toThrow(
    /--metrics-port: localhost:9100 is that of another -L/,
  );
  expect(readForwards({ forwards: "9101:a:1", metricsPort: 9100 })).toHaveLength(1);
});

test("free ports, and the same port of different addresses, are no conflict", () => {
  const forwards = ["0:a:1", "0:a:1", "127.0.0.1:1:a:1", "127.0.0.2:1:a:1", "[::1]:1:a:1"];
  expect(readForwards({ forwards, metricsPort: 0 })).toHaveLength(5);
  expect(readForwards({})).toEqual([]);
});

test(`more than ${MAX_FORWARDS} are too many`, () => {
  const forwards = (count: number) => Array.from({ length: count }, (_, at) => `${at + 1}:a:1`);
  expect(readForwards({ forwards: forwards(MAX_FORWARDS) })).toHaveLength(MAX_FORWARDS);
  expect(() => readForwards({ forwards: forwards(MAX_FORWARDS + 1) })).toThrow(/at most/);
});
