import { CodedError, type ErrorCode } from "@farside/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Redial } from "./redial.ts";

const error = (code: ErrorCode, data?: Record<string, string>) => new CodedError(code, "no", { data });

describe("dialling again", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  function redial(random = 1, soonestMs = 0) {
    let dials = 0;
    const made = new Redial({ dial: () => (dials += 1), soonestMs: () => soonestMs, random: () => random });
    return { redial: made, dials: () => dials };
  }

  test("pauses longer each time, up to a minute, and begins short after a success", () => {
    const { redial: made, dials } = redial();
    const pauses = Array.from({ length: 9 }, () => {
      const pause = made.after(error("hop.lost")) ?? -1;
      vi.advanceTimersByTime(pause);
      return pause;
    });
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
    expect(dials()).toBe(9);
    made.succeeded();
    expect(made.after(error("hop.lost"))).toBe(1000);
  });

  test("draws from the whole pause, but keeps to what is allowed", () => {
    expect(redial(0.25).redial.after(error("hop.lost"))).toBe(250);
    expect(redial(0).redial.after(error("hop.lost"))).toBe(0);
    expect(redial(0, 700).redial.after(error("hop.lost"))).toBe(700);
    expect(redial(0.5, 700).redial.after(error("hop.lost"))).toBe(950);
  });

  test("never has two that failed together dialled together, whatever is allowed", () => {
    const chance = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.nat({ max: 12 }),
        fc.nat({ max: 600_000 }),
        chance,
        chance,
        (tries, soonest, one, other) => {
          const pauses = [one, other].map((random) => {
            const made = redial(random, soonest).redial;
            for (let before = 0; before < tries; before += 1) made.after(error("hop.lost"));
            return made.after(error("hop.lost")) ?? -1;
          }) as [number, number];
          const longest = Math.min(60_000, 1_000 * 2 ** tries);
          // A millisecond is what they are rounded to.
          expect(Math.abs(pauses[0] - pauses[1])).toBeGreaterThanOrEqual(
            (Math.abs(one - other) * longest) / 2 - 1,
          );
          expect(Math.min(...pauses)).toBeGreaterThanOrEqual(soonest);
          expect(Math.max(...pauses)).toBeLessThanOrEqual(soonest + longest);
        },
      ),
    );
  });

  test("tells who waits for the try when it begins, and when it is stopped", async () => {
    const { redial: made, dials } = redial();
    made.after(error("hop.lost"));
    const begun = made.whenOver().then(() => dials());
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await begun).toBe(1);
    made.after(error("hop.lost"));
    const stopped = made.whenOver().then(() => dials());
    made.stop();
    expect(await stopped).toBe(1);
    await made.whenOver();
  });

  test.each<[ErrorCode, boolean]>([
    ["hop.unreachable", true],
    ["card.no-token", true],
    ["hop.auth-refused", false],
    ["hop.no-signature", false],
    ["host-key.changed", false],
    ["card.pin-wrong", false],
    ["sign.refused", false],
  ])("after %s is tried again by itself: %s", (code, isTried) => {
    const { redial: made } = redial();
    expect(made.after(error(code)) !== undefined).toBe(isTried);
    expect(made.isDue).toBe(isTried);
  });

  test("a budget that is used up fills up again; what was stopped is not dialled", () => {
    const { redial: made, dials } = redial();
    expect(made.after(error("sign.refused", { reason: "budget" }))).toBe(1000);
    made.stop();
    vi.advanceTimersByTime(100_000);
    expect(dials()).toBe(0);
  });
});
