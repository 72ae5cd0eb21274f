import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import type { LabProcess } from "./lab/lab-process.ts";
import { holdCrowd } from "./scale/hold-crowd.ts";
import { holdJumpHosts } from "./scale/hold-jump-hosts.ts";
import { ECHO_PORT, MeasuredSession, type TargetKind, targetKinds } from "./scale/measured-session.ts";
import { runShortRelays } from "./scale/run-short-relays.ts";
import { describeLab } from "./support/describe-lab.ts";
import { startEcho } from "./support/echo-service.ts";

/** Bytes that nobody else has which an idle agent may have; the rest of its 60 MB of RSS is Node.js's own text, and every Node.js process's. */
const IDLE_BYTES = 20e6;

describeLab("much to do at a time", () => {
  let lab: Lab;
  let echo: LabProcess;
  beforeAll(async () => {
    lab = await startLab();
    echo = await startEcho(lab.target, ECHO_PORT, "0.0.0.0");
  });
  afterAll(async () => {
    await echo.kill();
    await lab.close();
  });

  test("an agent has as little open after many relays as before, and loses nothing", async () => {
    const one = async (kind: TargetKind): Promise<void> => {
      await using session = await MeasuredSession.start(lab, kind, ["--connections", "1"]);
      const fresh = await session.usage();
      expect(fresh.agent.own, kind).toBeLessThan(IDLE_BYTES);
      const short = await runShortRelays({ lab, session, count: 1_000, perSecond: 1_000, seed: 1 });
      expect(short, kind).toMatchObject({ done: 1_000, failed: 0, failures: [] });
      const { sight, problems } = await holdCrowd(
        {
          ...{ lab, session, count: 200, holdMs: 1_000, periodS: 0.5, seed: 2 },
          settle: { withinMs: 20_000, restMs: 0 },
        },
        fresh,
      );
      expect(sight, kind).toMatchObject({ open: 0, refused: 0, lost: 0, wrong: 0 });
      // On a busy machine a turn is left out; each has answered at least once, and some again.
      expect(sight.answered, kind).toBeGreaterThan(200);
      // How little memory is left can be said after more connections than these, and how soon answers come with nothing beside them: see
      // docs/reliability.md.
      expect(problems.filter((problem) => !/memory|came later than/.test(problem))).toEqual([]);
      expect(await session.end(), kind).toEqual([]);
    };
    await Promise.all(targetKinds.map(one));
  });

  test("one program holds several jump hosts with one card and one PIN, also when their target's sshd is restarted", async () => {
    const { problems, ...report } = await holdJumpHosts({ lab, count: 5, holdMs: 0 });
    expect(problems).toEqual([]);
    expect(report).toMatchObject({ hosts: 5, pinEntries: 1, signatures: 15 });
  });
});
