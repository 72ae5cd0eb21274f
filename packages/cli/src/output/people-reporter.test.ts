import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import type { SessionEvent } from "@farside/protocol";
import { expect, test } from "vitest";
import { LineSink } from "./line-sink.ts";
import { PeopleReporter, type PeopleReporterOptions } from "./people-reporter.ts";

const at = "2026-01-01T00:00:00.000Z";
const ready: SessionEvent = { event: "ready", at, session: "s", forwards: [] };
const warning: SessionEvent = {
  event: "warning",
  at,
  message: "mind the\u001b[31m gap",
  hint: "look\n down",
};

function reporterOn(options: Partial<PeopleReporterOptions> & { isTerminal?: boolean } = {}) {
  const stream = Object.assign(new PassThrough({ encoding: "utf8" }), { columns: 60, isTTY: true });
  const reporter = new PeopleReporter({
    sink: new LineSink(stream),
    terminal: options.isTerminal === true ? stream : undefined,
    color: false,
    level: "info",
    ...options,
  });
  return { reporter, stream, output: () => String(stream.read() ?? "") };
}

test("without a terminal there are plain lines only", async () => {
  const { reporter, output } = reporterOn();
  reporter.step("connecting to jump");
  reporter.event(ready);
  reporter.error({ code: "hop.lost", message: "lost", hint: "again" });
  await reporter.close();
  expect(output()).toBe(
    "connecting to jump …\nready: session s (Ctrl-C ends it)\nerror[hop.lost]: lost\nhint: again\n",
  );
});

test("a session that is left as soon as it is ready is not said to end by Ctrl-C", async () => {
  const { reporter, output } = reporterOn({ isLeft: true });
  reporter.event(ready);
  await reporter.close();
  expect(output()).toBe("ready: session s\n");
});

test("what others sent can't reach the terminal raw", async () => {
  const { reporter, output } = reporterOn();
  reporter.event(warning);
  await reporter.close();
  expect(output()).toBe("warning: mind the\\x1b[31m gap\nhint: look\\n down\n");
});

test("colour is used where it is asked for, and only for the marks", async () => {
  const { reporter, output } = reporterOn({ color: true });
  reporter.event(warning);
  await reporter.close();
  expect(output()).toContain("\u001b[33mwarning:\u001b[39m mind the\\x1b");
});

test("the log level decides what is shown", async () => {
  const { reporter, output } = reporterOn({ level: "error" });
  reporter.step("connecting");
  reporter.event(ready);
  reporter.event(warning);
  reporter.log("warn", "x");
  reporter.error({ code: "hop.lost", message: "lost", hint: undefined });
  await reporter.close();
  expect(output()).toBe(
    "error[hop.lost]: lost\nhint: Start again; look at the network and the host's log.\n",
  );
});

test("on a terminal the last line shows the relays, and is gone at the end", async () => {
  const { reporter, stream, output } = reporterOn({ isTerminal: true });
  reporter.event(ready);
  reporter.event({ event: "relay.open", at, forward: "1", relay: 1, peer: "127.0.0.1:1", uid: 0 });
  let seen = "";
  while (!seen.includes("1 relay open, 1 so far")) {
    await new Promise((resolve) => stream.once("readable", resolve));
    seen += output();
  }
  reporter.event(warning);
  await reporter.close();
  seen += output();
  // Erased before the warning, drawn again below it, erased at the end.
  expect(seen.split("\r\u001b[2K")).toHaveLength(3);
  expect(stripVTControlCharacters(seen).split("1 relay open")).toHaveLength(3);
  expect(seen.endsWith("\r\u001b[2K")).toBe(true);
});
