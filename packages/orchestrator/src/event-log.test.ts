import { MAX_QUEUED_EVENTS, type SessionEvent, sessionEvents } from "@farside/protocol";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { EventLog } from "./event-log.ts";

async function collect(events: AsyncIterable<SessionEvent>): Promise<SessionEvent[]> {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}
const warning = (n: number) => ({ event: "warning", message: String(n) }) as const;

describe("a session's events", () => {
  it("reach a reader in order, with their time, until the end", async () => {
    const log = new EventLog(() => new Date(0));
    const reading = collect(log.read());
    log.emit(warning(1));
    log.emit(warning(2));
    log.end();
    log.emit(warning(3));
    expect(await reading).toEqual([1, 2].map((n) => ({ ...warning(n), at: "1970-01-01T00:00:00.000Z" })));
    expect(await collect(log.read())).toEqual([]);
  });

  it("that a slow reader has no room for are counted where they are missing", async () => {
    const log = new EventLog();
    const events = log.read();
    for (let n = 0; n < MAX_QUEUED_EVENTS + 7; n += 1) log.emit(warning(n));
    const read = [];
    for (let n = 0; n <= MAX_QUEUED_EVENTS; n += 1) read.push((await events.next()).value);
    expect(read.at(-2)).toMatchObject(warning(MAX_QUEUED_EVENTS - 1));
    expect(read.at(-1)).toMatchObject({ event: "dropped", count: 7 });
    expect(v.is(sessionEvents.dropped, read.at(-1))).toBe(true);
    log.emit(warning(9_999));
    expect((await events.next()).value).toMatchObject(warning(9_999));
  });

  it("reach listeners at once, until they unsubscribe", () => {
    const log = new EventLog();
    const heard: SessionEvent[] = [];
    const unsubscribe = log.subscribe((event) => heard.push(event));
    log.emit(warning(1));
    unsubscribe();
    log.emit(warning(2));
    expect(heard).toMatchObject([warning(1)]);
  });

  it("are let go when a reader leaves its loop", async () => {
    const log = new EventLog();
    const events = log.read();
    log.emit(warning(1));
    for await (const event of events) {
      expect(event).toMatchObject(warning(1));
      break;
    }
    log.emit(warning(2));
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});
