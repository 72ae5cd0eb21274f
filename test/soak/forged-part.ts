import { type ForgeReport, forgeMany } from "@farside/orchestrator/testing";
import type { SoakPart } from "./part.ts";

const FORGED = 100_000;
/** In one login: sshd gives a login two minutes. */
const TIMES_PER_BATCH = 40;

/** Live sign requests with one field changed: none is signed, and each batch's unchanged one is. */
export const forgedPart: SoakPart = async ({ seed, scale, say }) => {
  const total = Math.ceil(FORGED * scale);
  let told = 0;
  const report = await forgeMany({
    ...{ total, timesPerBatch: TIMES_PER_BATCH, seed },
    onBatch: (forged) => {
      if (forged - told < total / 10) return;
      told = forged;
      say(`${forged} of ${total}`);
    },
  });
  const { controls } = report;
  const tried = Object.values(report.fields).map((field) => field.tried);
  const batches = Math.ceil(total / (TIMES_PER_BATCH * tried.length));
  const problems = Object.entries(report.fields)
    .filter(([, { signed }]) => signed > 0)
    .map(([field, { signed }]) => `${signed} requests with a changed ${field} were signed`);
  if (tried.some((count) => count !== batches * TIMES_PER_BATCH))
    problems.push(`not as many of each field: ${tried.join(", ")}`);
  if (controls.tried !== batches) problems.push(`${controls.tried} unchanged requests in ${batches} batches`);
  if (controls.signed !== controls.tried) problems.push("an unchanged request was not signed");
  if (controls.loggedIn !== controls.logins)
    problems.push("a login with an unchanged request's signature failed");
  return { problems, table: tableOf(report), page: { path: "docs/security.md", kind: "place" } };
};

function tableOf({ fields, controls }: ForgeReport): string {
  const all = Object.entries(fields);
  const [tried, signed] = [0, 0].map((_, index) =>
    all.reduce((sum, [, field]) => sum + (index === 0 ? field.tried : field.signed), 0),
  );
  return [
    `${tried} forged requests, ${signed} signed; ${controls.tried} unchanged ones, ${controls.signed} signed, and all ${controls.loggedIn} logins that waited for one succeeded.`,
    "",
    "| field that was changed | requests | signed | refused by |",
    "| --- | --- | --- | --- |",
    ...all.map(([name, field]) => {
      const reasons = Object.entries(field.reasons).sort(([, left], [, right]) => right - left);
      return `| ${name} | ${field.tried} | ${field.signed} | ${reasons.map(([reason, count]) => `${reason} ${count}`).join(", ")} |`;
    }),
  ].join("\n");
}
