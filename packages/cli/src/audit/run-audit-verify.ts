import { knownHostPlaces, stateFolder } from "@farside/orchestrator";
import { CodedError, harmless } from "@farside/protocol";
import { type AuditReport, type ChainHead, verifyAudit } from "@farside/protocol/audit";
import type { CommandContext } from "../command-context.ts";
import type { AuditArguments } from "../commands/audit.ts";
import { exitCodeOf } from "../exit-code.ts";
import { times } from "../output/describe-event.ts";
import { jsonLine } from "../output/json-line.ts";
import { LineSink } from "../output/line-sink.ts";
import { writeError } from "../output/write-error.ts";
import { usageError } from "../usage-error.ts";

/** `farside audit verify`: 0 where every line is as it was written, 77 where one is not. */
export async function runAuditVerify(argv: AuditArguments, context: CommandContext): Promise<number> {
  const folder = argv.folder ?? stateFolder(context.env);
  const report = await verifyAudit(folder, [...(argv.head ?? []), ...(await placesOf(argv, context))]);
  const answer = new LineSink(context.stdout);
  if (argv.json === true) answer.write(jsonLine({ ok: report.findings.length === 0, ...report }));
  else for (const line of describeReport(report)) answer.write(harmless(line, 4096));
  await answer.flush(2000);
  const [first] = report.findings;
  if (first === undefined) return 0;
  const failure = new CodedError("audit.broken", `checking the audit log in ${folder}: ${first.says}`, {
    hint: "Look at the line and its neighbours, and at who can write to that folder; copy the files before the next session.",
  });
  writeError(failure, context);
  return exitCodeOf(failure);
}

/** What this workstation has seen of the log of the agent that was named. */
async function placesOf({ agent, folder }: AuditArguments, { env }: CommandContext): Promise<ChainHead[]> {
  if (agent === undefined) return [];
  if (folder === undefined)
    throw usageError("--agent needs --folder", "Copy the agent's audit.* to a folder, and give that.");
  const places = await knownHostPlaces(agent, stateFolder(env));
  if (places.length > 0) return places;
  throw new CodedError(
    "config.invalid",
    `nothing is known here of the audit log of ${agent.agent} on ${agent.host}`,
    {
      hint: "farside agent status, on this workstation, writes down its newest line each time.",
    },
  );
}

/** The report in plain words, a line each. */
export function describeReport(report: AuditReport): string[] {
  const { files, first, last, findings, notes, unproven } = report;
  const range = first === undefined ? "no line" : `lines ${first.seq} to ${last?.seq}`;
  const where = files.length > 1 ? `${files.at(-1)} and ${files.length - 1} older` : (files[0] ?? "no file");
  return [
    `${where}: ${range}`,
    ...(last === undefined ? [] : [`newest: ${last.seq}:${last.hash}`]),
    ...(findings.length === 0
      ? ["every line follows the one before it"]
      : [`${times(findings.length, "thing is", "things are")} not as it was written:`]),
    ...findings.map(({ says }) => `  ${says}`),
    ...notes.map((note) => `note: ${note}`),
    ...unproven.map((each) => `not proven: ${each}`),
  ];
}
