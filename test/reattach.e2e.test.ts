import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Lab, startLab } from "./lab/lab.ts";
import { holdConnection } from "./support/byte-traffic.ts";
import { describeLab } from "./support/describe-lab.ts";
import { startEcho } from "./support/echo-service.ts";
import { mainJob, runFarside } from "./support/farside.ts";
import {
  type Interruption,
  interruptedTransfer,
  killLogin,
  linkDownFor,
  resetConnection,
} from "./support/interrupted-transfer.ts";
import { expectNothingLeft } from "./support/leftovers.ts";

const LEASE_S = 12;
/** Longer than it takes to notice: a heartbeat every sixth of the lease, which is answered within a third. */
const DOWN_MS = 6_500;
const BYTES_PER_SECOND = 2_000_000;

describeLab("a forward with --reattach", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await startLab();
  });
  afterAll(() => lab.close());
  beforeEach(() => lab.jump.mark());

  test.each<[string, readonly Interruption[], number]>([
    ["the login's sshd is killed and then its connection reset", [killLogin, resetConnection], 6],
    ["the interface is down for longer than the heartbeats allow", [linkDownFor(DOWN_MS)], 10],
  ])(
    "loses not a byte while %s: no PIN, a new login, back within 3 s",
    async (_what, interruptions, seconds) => {
      const { farside, ...facts } = await interruptedTransfer({
        ...{ lab, interruptions, seconds, bytesPerSecond: BYTES_PER_SECOND },
        options: ["--reattach", "--lease", String(LEASE_S)],
      });
      await using running = farside;
      const { backAfterMs, ...rest } = facts;
      const times = interruptions.length;
      expect(rest, running.transcript).toEqual({
        isWhole: true,
        pinEntries: 0,
        signatures: times,
        logins: times,
      });
      expect(running.of("reattached")).toHaveLength(times);
      for (const ms of backAfterMs) expect(ms).toBeLessThan(3_000);
      const { exit, receipt } = await running.end();
      expect(exit.code, running.transcript).toBe(0);
      expect(receipt).toMatchObject({ clean: true });
      await expectNothingLeft(lab.jump);
    },
  );

  test("leaves nothing when the link is down for longer than the lease, and ends", async () => {
    const leaseS = 3;
    const service = await startEcho(lab.target, 4444);
    await using farside = runFarside(lab, [...mainJob(), "--reattach", "--lease", String(leaseS)]);
    await farside.ready();
    const client = await holdConnection(lab.jump, 4444);
    await lab.cutWorkstationLink();
    try {
      await expectNothingLeft(lab.jump, leaseS * 1000 + 5_000);
      await client.exit;
      // Once the link is good again it could see for itself that the agent is gone.
      await farside.waitForEvent("error");
    } finally {
      await lab.restoreWorkstationLink();
    }
    const exit = await farside.exit;
    expect([69, 75], farside.transcript).toContain(exit.code);
    expect(farside.of("error").map(({ code }) => code)).toEqual(["lease.expired"]);
    await service.kill();
  });
});
