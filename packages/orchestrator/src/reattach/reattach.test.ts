import { CodedError, type ErrorCode } from "@farside/protocol";
import { charged, type JumpChain, unspentBudget, waitMs } from "@farside/ssh";
import { describe, expect, test } from "vitest";
import { type ReattachOptions, reattach } from "./reattach.ts";

type Step = ErrorCode | "ok";

interface Seen {
  connects: number;
  attaches: number;
  dialTimeoutsMs: number[];
  connected: number;
}

/** A host that answers each login as `logins` says, the last for ever, and each attach as `attaches` does. */
function host(logins: readonly Step[], attaches: readonly (Step | "lost")[] = ["ok"]) {
  const seen: Seen = { connects: 0, attaches: 0, dialTimeoutsMs: [], connected: 0 };
  const at = <T>(steps: readonly T[], index: number) => steps[Math.min(index, steps.length - 1)] as T;
  let lose: () => void = () => {};
  const options: ReattachOptions = {
    host: "builder@build",
    leaseMs: 5_000,
    penalties: { budget: unspentBudget },
    signal: new AbortController().signal,
    identityReady: async () => {},
    connect: async ({ dialTimeoutMs }) => {
      const step = at(logins, seen.connects);
      seen.connects += 1;
      seen.dialTimeoutsMs.push(dialTimeoutMs);
      if (step !== "ok") throw new CodedError(step, "no");
      const closed = new Promise<undefined>((resolve) => {
        lose = () => resolve(undefined);
      });
      return { last: { closed }, close: async () => {} } as unknown as JumpChain;
    },
    onConnected: () => {
      seen.connected += 1;
    },
    attach: async () => {
      const step = at(attaches, seen.attaches);
      seen.attaches += 1;
      if (step === "lost") {
        lose();
        await Promise.resolve();
        throw new CodedError("agent.gone", "the channel broke");
      }
      if (step !== "ok") throw new CodedError(step, "no");
    },
  };
  return { options, seen };
}

describe("reattach", () => {
  test("tries again while the host can't be reached, then attaches; some dials are more patient", async () => {
    const { options, seen } = host([
      "hop.unreachable",
      "hop.unreachable",
      "hop.unreachable",
      "hop.unreachable",
      "ok",
    ]);
    await reattach(options);
    expect(seen).toMatchObject({ connects: 5, attaches: 1, connected: 1 });
    expect(new Set(seen.dialTimeoutsMs).size).toBe(2);
    // Nothing of it was seen by sshd.
    expect(waitMs(options.penalties.budget, performance.now())).toBe(0);
  });

  test.each<ErrorCode>(["hop.auth-refused", "host-key.changed", "host-key.unknown", "card.pin-wrong"])(
    "stops after %s, and does not knock again",
    async (code) => {
      const { options, seen } = host([code]);
      await expect(reattach(options)).rejects.toMatchObject({ code });
      expect(seen.connects).toBe(1);
    },
  );

  test("stops where the agent is gone, but not where the link was lost once more", async () => {
    const gone = host(["ok"], ["agent.gone"]);
    await expect(reattach(gone.options)).rejects.toMatchObject({ code: "agent.gone" });
    expect(gone.seen.connects).toBe(1);
    const lost = host(["ok"], ["lost", "ok"]);
    await reattach(lost.options);
    expect(lost.seen).toMatchObject({ connects: 2, attaches: 2, connected: 2 });
  });

  test("gives up when the lease is over", async () => {
    const { options, seen } = host(["hop.unreachable"]);
    await expect(reattach({ ...options, leaseMs: 300 })).rejects.toMatchObject({
      code: "lease.expired",
      leg: "jump",
    });
    expect(seen.connects).toBeGreaterThan(0);
  });

  test("waits where sshd would count another failed login, also from an earlier time", async () => {
    const { options, seen } = host(["ok"]);
    const now = performance.now();
    const budget = ["login-failed", "login-failed"] as const;
    options.penalties.budget = budget.reduce((spent, outcome) => charged(spent, outcome, now), unspentBudget);
    await expect(reattach({ ...options, leaseMs: 500 })).rejects.toMatchObject({ code: "lease.expired" });
    expect(seen.connects).toBe(0);
  });

  test("dials only when the identity is ready: a login that waits for the card would be charged", async () => {
    const { options, seen } = host(["ok"]);
    let insert = (): void => {};
    const inserted = new Promise<void>((resolve) => {
      insert = resolve;
    });
    let asked = 0;
    const identityReady = async (): Promise<void> => {
      asked += 1;
      if (asked === 1) throw new CodedError("card.removed", "it is out", { leg: "card" });
      if (asked === 2) await inserted;
    };
    const reattaching = reattach({ ...options, identityReady });
    await expect.poll(() => asked).toBe(2);
    expect(seen.connects).toBe(0);
    insert();
    await reattaching;
    expect(seen).toMatchObject({ connects: 1, attaches: 1 });
    expect(waitMs(options.penalties.budget, performance.now())).toBe(0);
  });

  test("gives up when the lease is over while the identity is waited for, and where it asks for too much", async () => {
    const { options, seen } = host(["ok"]);
    const waiting = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const failing = reattach({ ...options, leaseMs: 200, identityReady: waiting });
    await expect(failing).rejects.toMatchObject({
      code: "lease.expired",
      message: expect.stringContaining("nothing could sign"),
    });
    const wrong = new CodedError("card.pin-wrong", "no", { leg: "card" });
    const refused = reattach({ ...options, identityReady: () => Promise.reject(wrong) });
    await expect(refused).rejects.toBe(wrong);
    expect(seen.connects).toBe(0);
  });

  test("ends at its signal", async () => {
    const reason = new Error("no more");
    const { options } = host(["hop.unreachable"]);
    await expect(reattach({ ...options, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
