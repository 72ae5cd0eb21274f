import { beforeAll, expect, test } from "vitest";
import { debianRoot } from "../matrix/debian-root.ts";
import { describeLab } from "../support/describe-lab.ts";
import { conditions } from "./conditions.ts";
import { watchCondition } from "./watch-condition.ts";

const MINUTE_S = 60;
const GRACE_S = 8;
const AWAY_MS = { min: GRACE_S * 1000 + 2_000, max: GRACE_S * 1000 + 6_000 };
const TIMEOUT_MS = 240_000;
/** The first time on a machine, a Debian is fetched. */
const FETCH_TIMEOUT_MS = 330_000;
/** So that a single login that waits is seen within the minute; the rest is sshd's own. */
const sshd = [`LoginGraceTime ${GRACE_S}`, "PerSourcePenalties grace-exceeded:20s"];

/** An hour of each is `npm run soak -- penalties`. */
describeLab("the sshd of Debian 13 holds nothing against a session", () => {
  let whyNot: string | undefined;
  beforeAll(async () => {
    await debianRoot("trixie").catch((error: Error) => {
      whyNot = `there is no Debian 13 on this machine, and none can be had: ${error.message.split("\n")[0]}`;
    });
  }, FETCH_TIMEOUT_MS);

  test.concurrent.for(conditions.map((condition, index) => [condition.name, condition, index] as const))(
    "with the %s, and its user is told what it waits for",
    { timeout: TIMEOUT_MS },
    async ([, condition, index], { skip }) => {
      skip(whyNot !== undefined, whyNot);
      const options = { durationMs: MINUTE_S * 1000, awayMs: AWAY_MS, seed: 11 + index };
      const ofSshd = condition.cutsLoginsOff === true ? {} : { sshd };
      const { problems, seconds } = await watchCondition(condition, { ...options, ...ofSshd });
      expect(problems).toEqual([]);
      expect(seconds).toBeGreaterThanOrEqual(MINUTE_S);
    },
  );
});
