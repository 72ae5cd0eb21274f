import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CardPresence, type CardPresenceEvent, nextPresence } from "./card-presence.ts";

const present: CardPresence = { phase: "present" };
const removed: CardPresence = { phase: "removed" };
const pinNeeded: CardPresence = { phase: "pin-needed" };
const waiting = (count: number): CardPresence => ({ phase: "waiting", waiting: count });

describe("where the card is", () => {
  test.each<[CardPresence, CardPresenceEvent, CardPresence]>([
    [pinNeeded, { type: "login" }, present],
    [present, { type: "removed" }, removed],
    [pinNeeded, { type: "removed" }, removed],
    [removed, { type: "waits", waiting: 2 }, waiting(2)],
    [waiting(2), { type: "waits", waiting: 1 }, waiting(1)],
    [waiting(1), { type: "waits", waiting: 0 }, removed],
    [waiting(1), { type: "removed" }, waiting(1)],
    [waiting(1), { type: "inserted", needsPin: true }, pinNeeded],
    [removed, { type: "inserted", needsPin: true }, pinNeeded],
    [removed, { type: "inserted", needsPin: false }, present],
    [present, { type: "login-lost" }, pinNeeded],
    [removed, { type: "login-lost" }, removed],
    [present, { type: "inserted", needsPin: true }, present],
    [present, { type: "waits", waiting: 1 }, present],
  ])("%o, then %o: %o", (state, event, after) => {
    expect(nextPresence(state, event)).toEqual(after);
  });

  test("after a removal no way leads to a signature but over a card that is in, and a login where it needs one", () => {
    const event = fc.oneof(
      fc.constant({ type: "removed" } as const),
      fc.constant({ type: "inserted", needsPin: true } as const),
      fc.nat(3).map((count) => ({ type: "waits", waiting: count }) as const),
      fc.constant({ type: "login-lost" } as const),
    );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const end = events.reduce(nextPresence, removed);
        expect(end.phase).not.toBe("present");
      }),
    );
  });
});
