import { conditions } from "../penalties/conditions.ts";
import type { SshdPenalties } from "../penalties/sshd-penalties.ts";
import { type ConditionReport, watchCondition } from "../penalties/watch-condition.ts";
import type { SoakPart } from "./part.ts";

const HOUR_MS = 3_600_000;
/** At its longest, longer than sshd lets anybody be without a login (LoginGraceTime, 120 s). */
const AWAY_MS = { min: 3_000, max: 150_000 };

/** An hour each of what keeps a session from being logged in, side by side, against sshd's PerSourcePenalties. */
export const penaltiesPart: SoakPart = async ({ seed, scale, say }) => {
  const reports = await Promise.all(
    conditions.map((condition, index) =>
      watchCondition(condition, {
        ...{ durationMs: HOUR_MS * scale, awayMs: AWAY_MS, seed: seed + index, say },
      }),
    ),
  );
  const problems = reports.flatMap(({ name, problems: found }) =>
    found.map((problem) => `${name}: ${problem}`),
  );
  return { problems, table: tableOf(reports), page: { path: "docs/reliability.md", kind: "place" } };
};

function tableOf(reports: readonly ConditionReport[]): string {
  return [
    "| | lasted | times | connections, logins: jump host | target | charged, below the threshold | penalties | the user was told |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...reports.map(
      ({ name, seconds, rounds, jump, target, told }) =>
        `| ${name} | ${Math.round(seconds / 60)} min | ${rounds} | ${counts(jump)} | ${counts(target)} | ${charges([jump, target])} | ${jump.penalties.length + target.penalties.length} | ${told.join("<br>")} |`,
    ),
  ].join("\n");
}

const counts = ({ connections, logins }: SshdPenalties): string => `${connections}, ${logins}`;

function charges(hosts: readonly SshdPenalties[]): string {
  const sums = new Map<string, number>();
  for (const [reason, count] of hosts.flatMap(({ charges: found }) => [...found]))
    sums.set(reason, (sums.get(reason) ?? 0) + count);
  return [...sums].map(([reason, count]) => `${count}× ${reason}`).join("<br>") || "none";
}
