import type { StoredSession } from "@farside/orchestrator";
import { expect, test } from "vitest";
import { ageText, sessionFacts, sessionLines } from "./describe-session.ts";

const now = new Date("2026-01-01T00:10:00.000Z");
const session: StoredSession = {
  record: {
    version: 1,
    name: "calm-otter",
    pid: 42,
    start: "1",
    startedAt: "2026-01-01T00:00:00.000Z",
    jump: "build-1",
    host: "builder@build-1",
    phase: "ready",
    nonce: "0123456789abcdef0123456789abcdef",
    forwards: [{ id: "1", bind: ["127.0.0.1:4444", "[::1]:4444"], target: "localhost:4444", via: [] }],
    openRelays: 1,
    totalRelays: 3,
    bytesIn: 1000,
    bytesOut: 2_000_000,
  },
  undo: [],
  isLive: true,
  folder: "/state/calm-otter",
};

test("a session is one line: its name, state, host, age, relays, bytes and forwards", () => {
  expect(sessionLines([session], now)).toEqual([
    "SESSION     STATE  HOST             AGE  RELAYS  IN / OUT     FORWARDS",
    "calm-otter  ready  builder@build-1  10m  1 of 3  1 kB / 2 MB  127.0.0.1:4444 > localhost:4444",
  ]);
  expect(sessionLines([], now)).toEqual(["no sessions"]);
});

test("a session whose orchestrator is dead is lost, whatever its record says", () => {
  expect(sessionFacts({ ...session, isLive: false }).phase).toBe("lost");
});

test("a session that was left running is so until its agent ends, as far as can be known here", () => {
  const record = { ...session.record, phase: "detached", expiresAt: "2026-01-01T01:00:00.000Z" };
  const left = { ...session, record, isLive: false };
  expect(sessionFacts(left, now)).toMatchObject({ phase: "detached", expiresAt: record.expiresAt });
  expect(sessionFacts(left, new Date("2026-01-01T01:00:01.000Z")).phase).toBe("expired");
});

test("what is printed holds no nonce", () => {
  expect(JSON.stringify(sessionFacts(session))).not.toContain("0123456789abcdef");
});

test("ages are short", () => {
  expect([500, 59_000, 60_000, 3_600_000, 90_000_000, Number.NaN].map(ageText)).toEqual([
    "0s",
    "59s",
    "1m",
    "1h",
    "1d",
    "?",
  ]);
});

test("a forward that is not as it should be has a line that says why, and what is next", () => {
  const forward = { id: "1", openRelays: 0, totalRelays: 3, refusedRelays: 0, bytesIn: 2000, bytesOut: 5 };
  const trouble = {
    phase: "degraded",
    waitsFor: "the hop",
    retryInMs: 8000,
    code: "hop.lost",
    leg: "hop",
  } as const;
  const live = {
    at: "2026-01-01T00:09:57.500Z",
    forwards: [{ ...forward, ...trouble, message: "gone\u001b[2J" }],
    relays: [],
  };
  const lines = sessionLines([{ ...session, record: { ...session.record, live } }], now);
  expect(lines[1]).toContain("2 kB / 2 MB");
  expect(lines[2]).toBe(
    "  forward 1: degraded, waits for the hop, next try in 6 s; last error at the hop [hop.lost]: gone\\x1b[2J",
  );
  const later = new Date(Date.parse(live.at) + 9_000);
  expect(sessionLines([{ ...session, record: { ...session.record, live } }], later)[2]).toContain(
    "waits for the hop, tried now; last",
  );
  const facts = sessionFacts({ ...session, record: { ...session.record, live } });
  expect(facts).toMatchObject({ liveAt: live.at, relays: [], forwards: [{ id: "1", live: trouble }] });
});
