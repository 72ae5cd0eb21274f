import { PassThrough, Writable } from "node:stream";
import { sessionEvents } from "@farside/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { JsonReporter } from "./json-reporter.ts";

const at = "2026-01-01T00:00:00.000Z";

test("steps, logs and pauses leave no trace among the events", async () => {
  const stream = new PassThrough();
  const reporter = new JsonReporter(stream);
  reporter.step();
  reporter.log();
  reporter.pause()();
  reporter.event({ event: "warning", at, message: "a\nb" });
  await reporter.close();
  expect(String(stream.read())).toBe(`{"event":"warning","at":"${at}","message":"a\\nb"}\n`);
});

test("an error that no session told is an error event, without a leg where it has none, with what is to be done about its code", async () => {
  const stream = new PassThrough();
  const reporter = new JsonReporter(stream);
  reporter.error({ code: "usage.invalid", message: "x", hint: undefined, leg: undefined });
  await reporter.close();
  const event: unknown = JSON.parse(String(stream.read()));
  expect(v.is(sessionEvents.error, event)).toBe(true);
  expect(Object.keys(event as object).sort()).toEqual(["at", "code", "event", "hint", "message"]);
});

test("of what a reader is too slow for, relays go first; ready, error and receipt never do", async () => {
  const lines: string[] = [];
  let read: (() => void) | undefined;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      lines.push(chunk);
      if (read === undefined) read = done;
      else done();
    },
  });
  const reporter = new JsonReporter(stream);
  const relay = { event: "relay.open", at, forward: "1", peer: "p", uid: 0 } as const;
  for (let i = 0; i < 3000; i += 1) reporter.event({ ...relay, relay: i });
  reporter.event({ event: "ready", at, session: "s", forwards: [] });
  const left = { session: "s", host: "h", processes: [], listeners: [], files: [] };
  reporter.event({ event: "receipt", at, ...left, clean: true });
  read?.();
  await reporter.close();
  const names = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(names.filter((name) => name === "relay.open")).toHaveLength(1000);
  expect(names.slice(1000)).toEqual(["ready", "receipt", "dropped"]);
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ count: 2000 });
});
