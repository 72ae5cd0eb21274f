import { PassThrough } from "node:stream";
import { type SessionEvent, sessionEvents } from "@farside/protocol";
import { filledWith } from "@farside/protocol/testing";
import { describe, expect, test } from "vitest";
import { JsonReporter } from "./json-reporter.ts";
import { LineSink } from "./line-sink.ts";
import { PeopleReporter } from "./people-reporter.ts";

/** Clears a screen (7 and 8 bit), sets a window's title, goes back in the line, turns text around, breaks the line. */
const EVIL = "a\u001b[2J\u009b2J\u001b]0;t\u0007\r\u202eb\u2028c\nd\u007f";
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

const events = Object.values(sessionEvents).flatMap((schema) => filledWith(schema, EVIL) as SessionEvent[]);

/** The lines that a reporter writes of what `use` tells it. */
async function linesOf(use: (stream: PassThrough) => Promise<void>): Promise<string[]> {
  const stream = new PassThrough({ encoding: "utf8", highWaterMark: 1 << 24 });
  await use(stream);
  const lines = String(stream.read() ?? "").split("\n");
  expect(lines.pop()).toBe("");
  return lines;
}

describe("no string of any event acts on a terminal or a log", () => {
  test.each(events.map((event) => [event.event, event] as const))("%s, for people", async (_, event) => {
    const lines = await linesOf(async (stream) => {
      const reporter = new PeopleReporter({ sink: new LineSink(stream), color: false, level: "debug" });
      reporter.event(event);
      await reporter.close();
    });
    for (const line of lines) expect(line).not.toMatch(UNSAFE);
  });

  test("for people, steps, warnings, log lines and errors", async () => {
    const lines = await linesOf(async (stream) => {
      const reporter = new PeopleReporter({ sink: new LineSink(stream), color: false, level: "debug" });
      reporter.step(EVIL);
      reporter.warn(EVIL);
      reporter.log("debug", EVIL);
      reporter.error({ code: "hop.lost", message: EVIL, hint: EVIL });
      await reporter.close();
    });
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line).not.toMatch(UNSAFE);
  });

  test("as JSON, whose lines parse to the very events", async () => {
    const lines = await linesOf(async (stream) => {
      const reporter = new JsonReporter(stream);
      for (const event of events) reporter.event(event);
      await reporter.close();
    });
    for (const line of lines) expect(line).not.toMatch(UNSAFE);
    expect(lines.map((line) => JSON.parse(line))).toEqual(events);
  });
});
