import { CodedError, type ErrorCode } from "@farside/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AttemptOutcome,
  attemptOutcome,
  charged,
  type PenaltyBudget,
  unspentBudget,
  waitMs,
} from "./penalty-budget.ts";

const SSHD_THRESHOLD_MS = 15_000;
const outcomes = fc.constantFrom<AttemptOutcome>(
  "unreachable",
  "logged-in",
  "no-login",
  "login-failed",
  "left-behind",
);

describe("the budget of penalties", () => {
  test("is not touched by what sshd never sees, nor by logins", () => {
    let budget = unspentBudget;
    for (let now = 0; now < 100; now += 1) {
      budget = charged(budget, now % 2 === 0 ? "unreachable" : "logged-in", now);
      expect(waitMs(budget, now)).toBe(0);
    }
  });

  test("lets failed logins through as they run off, with room for one that costs the most", () => {
    const once = charged(unspentBudget, "login-failed", 1_000);
    expect(waitMs(once, 1_000)).toBe(1_000);
    const twice = charged(once, "login-failed", 2_000);
    expect(waitMs(twice, 2_000)).toBe(5_000);
    expect(waitMs(twice, 5_000)).toBe(2_000);
    expect(waitMs(twice, 7_000)).toBe(0);
  });

  test.each<[ErrorCode, AttemptOutcome]>([
    ["hop.unreachable", "unreachable"],
    ["hop.handshake-failed", "no-login"],
    ["host-key.changed", "no-login"],
    ["hop.auth-refused", "login-failed"],
    ["hop.lost", "login-failed"],
    ["card.removed", "login-failed"],
    ["timeout", "left-behind"],
  ])("takes %s for %s", (code, outcome) => {
    expect(attemptOutcome(new CodedError(code, "no"))).toBe(outcome);
  });

  test("counts a host that takes the connection and says nothing", () => {
    const error = new CodedError("hop.unreachable", "no", { data: { answered: true } });
    expect(attemptOutcome(error)).toBe("no-login");
  });

  test("never lets sshd's penalties come to its threshold, whatever the attempts cost", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(outcomes, fc.nat(3_000)), { maxLength: 200 }), (attempts) => {
        let now = 0;
        let most = 0;
        let budget: PenaltyBudget = unspentBudget;
        // As sshd counts: an expiry that each penalty moves on (srclimit.c).
        let expiry = 0;
        for (const [outcome, pauseMs] of attempts) {
          now += Math.max(pauseMs, waitMs(budget, now));
          budget = charged(budget, outcome, now);
          const cost = {
            unreachable: 0,
            "logged-in": 0,
            "no-login": 1_000,
            "login-failed": 5_000,
            "left-behind": 10_000,
          }[outcome];
          expiry = Math.max(expiry, now) + cost;
          most = Math.max(most, expiry - now);
        }
        expect(most).toBeLessThan(SSHD_THRESHOLD_MS);
      }),
    );
  });
});
