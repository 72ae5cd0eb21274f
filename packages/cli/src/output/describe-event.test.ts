import { describe, expect, test } from "vitest";
import { describeEvent, describeReceipt, isDetail } from "./describe-event.ts";

const at = "2026-01-01T00:00:00.000Z";
const receipt = {
  session: "calm-otter",
  host: "builder@172.16.16.158",
  processes: [],
  listeners: [],
  files: [],
  clean: true,
};

describe("describeReceipt", () => {
  test("says in plain words that nothing is left", () => {
    expect(describeReceipt(receipt)).toMatchObject({
      tone: "done",
      text: "nothing left on builder@172.16.16.158: 0 processes, 0 listeners, 0 files",
    });
  });

  test("lists what is left", () => {
    const left = describeReceipt({
      ...receipt,
      processes: ["812 node"],
      files: ["/tmp/a", "/tmp/b"],
      clean: false,
    });
    expect(left.text).toBe("left on builder@172.16.16.158: 1 process, 0 listeners, 2 files");
    expect(left.items).toEqual(["process 812 node", "file /tmp/a", "file /tmp/b"]);
    expect(left.hint).toContain("farside teardown calm-otter");
  });

  test("a look that failed is not called clean, and counts nothing", () => {
    const line = "unknown: builder@jump could not be looked at: the connection is gone";
    const unknown = { ...receipt, processes: [line], listeners: [line], files: [line], clean: false };
    expect(describeReceipt(unknown)).toMatchObject({
      tone: "warning",
      text: "what is left is not known: builder@jump could not be looked at: the connection is gone",
      // To run it again helps only then.
      hint: "Once that is put right, run farside teardown calm-otter, or look at the host.",
    });
    expect(describeReceipt({ ...receipt, clean: false }).text).toContain("could not be looked at");
  });
});

describe("describeEvent", () => {
  test("counts the PIN entries", () => {
    const login = { event: "card.login", at, token: "PIV", key: "9A" } as const;
    expect(describeEvent({ ...login, pinEntries: 1 })?.text).toBe('card "PIV", key "9A": 1 PIN entry');
    expect(describeEvent({ ...login, pinEntries: 2 })?.text).toContain("2 PIN entries");
  });

  test("names both ends of a forward", () => {
    const text = describeEvent({
      event: "forward.open",
      at,
      id: "1",
      bind: ["127.0.0.1:4444", "[::1]:4444"],
      target: "localhost:4444",
      via: ["signer@172.16.16.160:22"],
    })?.text;
    expect(text).toBe(
      "listening on 127.0.0.1:4444 and [::1]:4444, forwarding to localhost:4444 via signer@172.16.16.160:22",
    );
  });

  test("a relay that failed is a warning, one that ended is a detail", () => {
    const close = {
      event: "relay.close",
      at,
      forward: "1",
      relay: 3,
      peer: "127.0.0.1:5",
      uid: 1000,
      bytesIn: 0,
      bytesOut: 10,
      durationMs: 120,
    } as const;
    expect(describeEvent({ ...close, reason: "end" })?.level).toBe("debug");
    expect(isDetail({ ...close, reason: "end" })).toBe(true);
    expect(isDetail({ ...close, reason: "error" })).toBe(false);
    const failed = describeEvent({
      ...close,
      reason: "error",
      code: "target.unreachable",
      message: "refused",
    });
    expect(failed).toMatchObject({
      level: "warn",
      text: "relay 3 from 127.0.0.1:5 (uid 1000) ended [target.unreachable]: refused",
    });
  });
});
