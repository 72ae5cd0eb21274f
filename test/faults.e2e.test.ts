import { afterAll, beforeAll, expect, test } from "vitest";
import { MAX_LATE_MS, measureCardLag, noCardWork, slowCardWorks } from "./card/card-lag.ts";
import { runCycle } from "./faults/cycle.ts";
import { FaultLab } from "./faults/fault-lab.ts";
import type { Phase } from "./faults/phases.ts";
import { cycleOf } from "./faults/play.ts";
import { describeLab } from "./support/describe-lab.ts";

/** Of the some 400 that `npm run soak -- faults` plays, one of each kind, on each side, and those that found something once; what a card's module does, other files have. */
const sample: readonly (readonly [Phase, string])[] = [
  ["connecting", "orchestrator: SIGKILL"],
  ["connecting", "workstation's disk: full"],
  ["connecting", "jump host's disk: full"],
  ["connecting", "workstation's cable: out for a moment"],
  ["card-login", "signer: SIGKILL"],
  ["deploying", "orchestrator: SIGTERM"],
  ["opening", "agent: SIGTERM"],
  ["opening", "workstation's network: packets dropped for longer than the lease"],
  ["signed", "workstation's connections: reset"],
  ["relaying", "laptop asleep for longer than the lease"],
  ["ready", "workstation's clock: a day ahead, then back"],
  ["ready", "stdout: closed"],
  ["ready", "card: out and in again"],
  ["verifying", "jump host's sshd: SIGKILL"],
];

describeLab("a session that is hit", () => {
  let faultLab: FaultLab;
  beforeAll(async () => {
    faultLab = await FaultLab.start();
  });
  afterAll(() => faultLab?.[Symbol.asyncDispose]());

  test.each(sample)("at %s by %s leaves nothing, hangs nobody and says what it was", async (phase, name) => {
    const { fault } = cycleOf(phase, name);
    const { problems } = await runCycle(faultLab, phase, fault, "sample");
    expect(problems).toEqual([]);
  });

  test("is not held up by its card: the event loop goes on while that works", async () => {
    // A busy machine makes an event loop late, too, but not each time, nor where there is no card to wait for.
    const late = new Map<string, number[]>(slowCardWorks.map(({ name }) => [name, []]));
    for (let tries = 1; tries <= 3 && [...late.values()].some((ms) => ms.length === tries - 1); tries += 1) {
      const seen = await measureCardLag(faultLab, slowCardWorks);
      const noise = 4 * (seen.get(noCardWork.name)?.max ?? 0);
      for (const [name, { max }] of seen) if (max > Math.max(MAX_LATE_MS, noise)) late.get(name)?.push(max);
    }
    expect([...late].filter(([, ms]) => ms.length === 3)).toEqual([]);
  });
});
