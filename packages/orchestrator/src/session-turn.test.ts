import { Gate } from "@farside/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SessionTurn } from "./session-turn.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** `count` sessions with one place for all of them. */
function turns(count: number) {
  const gate = new Gate(1);
  return Array.from({ length: count }, () => new SessionTurn(gate)) as [
    SessionTurn,
    SessionTurn,
    SessionTurn,
  ];
}

const held = (all: readonly SessionTurn[]) => all.map(({ isHeld }) => isHeld);
/** A signature, and what gives it. */
function signature() {
  let give = (): void => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { sign: () => given, give };
}

describe("a session's turn", () => {
  it("goes to the next while a host is dialled that does not answer, and comes back first once it does", async () => {
    const all = turns(3);
    const [dead, good, third] = all;
    await dead.take("dialling");
    const second = good.take("dialling");
    await vi.advanceTimersByTimeAsync(249);
    expect(held(all)).toEqual([true, false, false]);
    await vi.advanceTimersByTimeAsync(1);
    await second;
    await good.take("logging in");
    const taken: string[] = [];
    const waiting = [
      third.take("dialling").then(() => taken.push("third")),
      dead.take("logging in", { isUrgent: true }).then(() => taken.push("the late one")),
    ];
    await vi.advanceTimersByTimeAsync(2_000);
    expect([taken, held(all)]).toEqual([[], [false, true, false]]);
    good.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(taken).toEqual(["the late one"]);
    dead.end();
    await Promise.all(waiting);
    expect(taken).toEqual(["the late one", "third"]);
  });

  it("lasts as long as a session gets further, and as a signature takes", async () => {
    const [turn] = turns(1);
    await turn.take("logging in");
    for (const event of ["hop.connected", "agent.ready", "forward.open"] as const) {
      await vi.advanceTimersByTimeAsync(2_900);
      turn.hear({ event });
    }
    const { sign, give } = signature();
    const signing = turn.whileSigning(sign, undefined);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(turn.isHeld).toBe(true);
    give();
    await signing;
    await vi.advanceTimersByTimeAsync(2_900);
    expect(turn.isHeld).toBe(true);
    turn.hear({ event: "warning" });
    await vi.advanceTimersByTimeAsync(100);
    expect(turn.isHeld).toBe(false);
  });

  it("is had again for a signature, before the others", async () => {
    const [late, other, third] = turns(3);
    await late.take("dialling");
    await vi.advanceTimersByTimeAsync(250);
    await other.take("logging in");
    const waiting = third.take("dialling");
    const { sign, give } = signature();
    const signing = late.whileSigning(sign, undefined);
    other.end();
    await vi.advanceTimersByTimeAsync(0);
    expect([late.isHeld, third.isHeld]).toEqual([true, false]);
    give();
    await signing;
    late.end();
    await waiting;
  });

  it("is waited for before the others by all its takers as soon as one of them is urgent, and taken once", async () => {
    const gate = new Gate(1);
    const [turn, other] = [new SessionTurn(gate), new SessionTurn(gate)];
    const leave = await gate.enter();
    const taken: string[] = [];
    const others = other.take("dialling").then(() => taken.push("other"));
    const both = [
      turn.take("dialled there").then(() => taken.push("dial")),
      turn.take("dialled there", { isUrgent: true }).then(() => taken.push("signature")),
      turn.take("dialled there").then(() => taken.push("another dial")),
    ];
    await vi.advanceTimersByTimeAsync(0);
    expect(gate.waiting).toBe(2);
    leave();
    await vi.advanceTimersByTimeAsync(0);
    expect([taken.toSorted(), other.isHeld]).toEqual([["another dial", "dial", "signature"], false]);
    turn.end();
    await Promise.all([...both, others]);
    other.end();
    // Every place was given back, and once.
    await gate.enter();
    void gate.enter();
    expect(gate.waiting).toBe(1);
  });

  it("is taken once where a signature is wanted at the very moment when it comes", async () => {
    for (let ticks = 0; ticks < 12; ticks += 1) {
      const gate = new Gate(1);
      const turn = new SessionTurn(gate);
      const leave = await gate.enter();
      const dial = turn.take("dialled there");
      leave();
      for (let tick = 0; tick < ticks; tick += 1) await undefined;
      await turn.take("dialled there", { isUrgent: true });
      await dial;
      expect(turn.isHeld).toBe(true);
      turn.end();
      await gate.enter();
    }
  });

  it("is kept for who still waits, and for nobody once all have given up", async () => {
    const gate = new Gate(1);
    const turn = new SessionTurn(gate);
    const leave = await gate.enter();
    const [one, two] = [new AbortController(), new AbortController()];
    const given = [
      turn.take("dialling", { signal: one.signal }),
      turn.take("dialling", { signal: two.signal, isUrgent: true }),
    ].map((each) => each.catch(() => "gave up"));
    two.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(gate.waiting).toBe(1);
    one.abort();
    expect(await Promise.all(given)).toEqual(["gave up", "gave up"]);
    await vi.advanceTimersByTimeAsync(0);
    expect(gate.waiting).toBe(0);
    leave();
    await turn.take("dialling");
    expect(turn.isHeld).toBe(true);
    turn.close();
  });

  it("is over once a hop that was dialled again is there, or not to be had, and after half a second without a word", async () => {
    const [turn] = turns(1);
    await turn.take("logging in");
    turn.end();
    await turn.take("dialled there");
    turn.hear({ event: "hop.connected", leg: "jump" });
    expect(turn.isHeld).toBe(true);
    turn.hear({ event: "hop.connected", leg: "hop" });
    expect(turn.isHeld).toBe(false);
    await turn.take("dialled there");
    turn.hear({ event: "forward.state", phase: "degraded" });
    expect(turn.isHeld).toBe(false);
    await turn.take("dialled there");
    await vi.advanceTimersByTimeAsync(500);
    expect(turn.isHeld).toBe(false);
  });

  it("is not waited for by who gives up, nor by anybody once the session is closed", async () => {
    const [first, second, third] = turns(3);
    await first.take("logging in");
    const reason = new Error("no more");
    const controller = new AbortController();
    const given = second.take("dialling", { signal: controller.signal });
    const letGo = third.take("dialling");
    controller.abort(reason);
    third.close();
    await Promise.all([
      expect(given).rejects.toBe(reason),
      expect(letGo).rejects.toMatchObject({ code: "canceled" }),
    ]);
    await expect(third.take("dialling")).rejects.toMatchObject({ code: "canceled" });
    second.close();
    first.end();
    expect(held([first, second, third])).toEqual([false, false, false]);
  });
});
