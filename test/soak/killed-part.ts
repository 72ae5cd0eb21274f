import { startLab } from "../lab/lab.ts";
import { startEcho } from "../support/echo-service.ts";
import { killAtRandom } from "../support/kill-at-random.ts";
import { expectNothingLeft } from "../support/leftovers.ts";
import type { SoakPart } from "./part.ts";

const SESSIONS = 50;
const ALONGSIDE = 5;

/** Sessions whose farside gets SIGKILL at a random moment; then `farside teardown --all`, twice. */
export const killedPart: SoakPart = async ({ scale, seed, say }) => {
  await using lab = await startLab();
  const service = await startEcho(lab.target, 4444);
  const sessions = Math.ceil(SESSIONS * scale);
  const { problems, torn } = await killAtRandom(lab, { sessions, alongside: ALONGSIDE, seed });
  say(`${torn} sessions were torn down`);
  const all = [...problems];
  await expectNothingLeft(lab.jump, 1_000).catch((error: Error) => all.push(error.message));
  await service.kill();
  const table = `${sessions} sessions killed at random moments; \`farside teardown --all\` ended what ${torn} of them had left, each port took a listener again within 3 s, and a second one found nothing.`;
  return { problems: all, table, page: { path: "docs/persistent-agents.md", kind: "place" } };
};
