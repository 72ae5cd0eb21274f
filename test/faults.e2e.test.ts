import { afterAll, beforeAll, expect, test } from "vitest";
import { runCycle } from "./faults/cycle.ts";
import { FaultLab } from "./faults/fault-lab.ts";
import type { Phase } from "./faults/phases.ts";
import { cycleOf } from "./faults/play.ts";
import { describeLab } from "./support/describe-lab.ts";

/** Of the some 350 that `npm run soak -- faults` plays, those that found something once, and one of each kind. */
const sample: readonly (readonly [Phase, string])[] = [
  ["connecting", "orchestrator: SIGKILL"],
  ["connecting", "workstation's disk: full"],
  ["card-login", "signer: SIGKILL"],
  ["deploying", "orchestrator: SIGTERM"],
  ["opening", "agent: SIGTERM"],
  ["opening", "workstation's network: packets dropped for longer than the lease"],
  ["signed", "workstation's connections: reset"],
  ["relaying", "laptop asleep for longer than the lease"],
  ["ready", "workstation's clock: a day ahead, then back"],
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
});
