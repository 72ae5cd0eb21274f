import { watchNeighbours } from "../penalties/neighbours.ts";
import type { SshdPenalties } from "../penalties/sshd-penalties.ts";
import type { SoakPart } from "./part.ts";

const COUNT = 8;
const DURATION_MS = 600_000;

/** Ten minutes of many processes of one workstation that share an address, a jump host and a target, and no budget, against PerSourcePenalties. */
export const neighboursPart: SoakPart = async ({ seed, scale, say }) => {
  const report = await watchNeighbours({ count: COUNT, durationMs: DURATION_MS * scale, seed, say });
  const { rounds, jump, target, problems } = report;
  const table = [
    `${COUNT} processes, ${rounds} times all lost a login at the same moment.`,
    "",
    "| | connections | logins | charged, below the threshold | turned away |",
    "| --- | --- | --- | --- | --- |",
    row("jump host", jump),
    row("target", target),
  ].join("\n");
  return { problems, table };
};

function row(host: string, { connections, logins, charges, penalties }: SshdPenalties): string {
  const charged = [...charges].map(([reason, count]) => `${count}× ${reason}`).join("<br>") || "none";
  return `| ${host} | ${connections} | ${logins} | ${charged} | ${penalties.length} |`;
}
