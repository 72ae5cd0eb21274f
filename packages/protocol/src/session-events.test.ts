import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { errorTable } from "./errors.ts";
import { type SessionEvent, type SessionEventName, sessionEvents } from "./session-events.ts";

const at = "2030-01-02T03:04:05.678Z";
const forward = {
  id: "1",
  bind: ["127.0.0.1:4444", "[::1]:4444"],
  target: "localhost:4444",
  via: ["signer@sign:22"],
};
const relay = { forward: "1", relay: 1, peer: "127.0.0.1:54321", uid: 1000 };

/** One of each, as `--json` prints it. */
const examples: { [Name in SessionEventName]: Extract<SessionEvent, { event: Name }> } = {
  "card.login": { event: "card.login", at, token: "PIV", key: "9A", pinEntries: 1 },
  "card.state": { event: "card.state", at, token: "PIV", state: "waiting", waiting: 1 },
  "hop.connected": {
    event: "hop.connected",
    at,
    leg: "jump",
    user: "builder",
    host: "build",
    port: 22,
    hostKey: "SHA256:x",
  },
  "agent.ready": {
    event: "agent.ready",
    at,
    host: "builder@build",
    pid: 1,
    node: "20.0.0",
    agentVersion: "0.1.0",
    digest: "00",
    deploy: { method: "memory", bytes: 1, durationMs: 1 },
  },
  "runtime.fetch": { event: "runtime.fetch", at, runtime: "Node.js 22.0.0", from: "npm", bytes: 1 },
  "runtime.upload": {
    event: "runtime.upload",
    at,
    host: "builder@build",
    runtime: "Node.js 22.0.0",
    digest: "00",
    bytes: 1,
    size: 3,
    folder: "/run/user/1000",
    kept: false,
  },
  "engine.ready": {
    ...{ event: "engine.ready", at, host: "me@jump", engine: "openssh" },
    ...{ version: "OpenSSH_9.2p1", durationMs: 90 },
  },
  "metrics.open": { event: "metrics.open", at, bind: ["127.0.0.1:9100", "[::1]:9100"] },
  "forward.open": { event: "forward.open", at, ...forward },
  "forward.state": {
    event: "forward.state",
    at,
    ...{ forward: "1", phase: "degraded", waitsFor: "the hop", retryInMs: 800 },
    ...{ code: "hop.lost", leg: "hop", message: "gone" },
  },
  "forward.taken-over": {
    event: "forward.taken-over",
    at,
    ...{ forward: "1", address: "127.0.0.1:4444", session: "calm-otter", pid: 812, reason: "same-name" },
  },
  ready: { event: "ready", at, session: "quiet-heron", forwards: [forward] },
  "relay.open": { event: "relay.open", at, ...relay },
  "relay.close": {
    event: "relay.close",
    at,
    ...relay,
    bytesIn: 1,
    bytesOut: 2,
    durationMs: 3,
    reason: "error",
    code: "target.unreachable",
    leg: "target",
    message: "localhost:4444 refused",
  },
  "relay.refused": {
    event: "relay.refused",
    at,
    forward: "1",
    peer: "127.0.0.1:1",
    uid: 1001,
    hint: "--allow-user eve",
  },
  sign: {
    event: "sign",
    at,
    hop: "signer@sign:22",
    algorithm: "rsa-sha2-512",
    decision: "signed",
    reason: "declared",
  },
  reattached: { event: "reattached", at, session: "quiet-heron" },
  detached: { event: "detached", at, session: "quiet-heron", host: "builder@build", expiresAt: at },
  dropped: { event: "dropped", at, count: 2 },
  warning: { event: "warning", at, message: "no IPv6" },
  error: { event: "error", at, code: "hop.lost", message: "lost", hint: "retry", leg: "jump" },
  receipt: {
    event: "receipt",
    at,
    session: "quiet-heron",
    host: "builder@build",
    processes: [],
    listeners: [],
    files: [],
    clean: true,
  },
};

describe("the events of a session", () => {
  test.each(Object.entries(examples))("%s stays the same through JSON and its schema", (name, example) => {
    const schema = sessionEvents[name as SessionEventName] as v.GenericSchema;
    expect(v.parse(schema, JSON.parse(JSON.stringify(example)))).toEqual(example);
  });

  test.each(Object.entries(sessionEvents))(
    "%s is under its own name and needs a time in UTC",
    (name, schema) => {
      const example = examples[name as SessionEventName];
      expect(example.event).toBe(name);
      expect(v.is(schema, { ...example, at: "yesterday" })).toBe(false);
      expect(v.is(schema, { ...example, at: undefined })).toBe(false);
    },
  );

  test("name legs as errors do", () => {
    const legs = ["card", "jump", "bind", "hop", "target"];
    const accepted = legs.filter((leg) => v.is(sessionEvents.error, { ...examples.error, leg }));
    expect(accepted).toEqual(legs);
    expect(v.is(sessionEvents.error, { ...examples.error, leg: "elsewhere" })).toBe(false);
    expect(Object.keys(errorTable)).toContain(examples.error.code);
  });
});
