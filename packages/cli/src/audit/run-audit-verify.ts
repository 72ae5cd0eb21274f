import { knownHostPlaces, stateFolder } from "@farside/orchestrator";
import { CodedError, toCodedError } from "@farside/protocol";
import { type AuditReport, type ChainHead, verifyAudit } from "@farside/protocol/audit";
import type { CommandContext } from "../command-context.ts";
import type { AuditArguments } from "../commands/audit.ts";
import { exitCodeOf } from "../exit-code.ts";
import { Answer } from "../output/answer.ts";
import { peopleReporter } from "../output/open-reporter.ts";
import { describeReport } from "./describe-report.ts";
import { verifyAgentAudit } from "./verify-agent-audit.ts";

/** `farside audit verify`: 0 where every line is as it was written, 77 where one is not. */
export async function runAuditVerify(argv: AuditArguments, context: CommandContext): Promise<number> {
  const { agent, folder } = argv;
  const people = peopleReporter(argv, context);
  const answer = new Answer(context.stdout);
  try {
    const isOnHost = agent !== undefined && folder === undefined;
    const report = isOnHost
      ? await verifyAgentAudit(argv, agent, context, people)
      : await verifyHere(argv, context);
    if (argv.json === true) answer.json({ ok: report.findings.length === 0, ...report });
    else for (const line of describeReport(report)) answer.line(line);
    const [first] = report.findings;
    if (first !== undefined)
      throw broken(first.says, isOnHost ? `${agent.agent} on ${agent.host}` : report.files[0]);
    return 0;
  } catch (error) {
    const failure = toCodedError(error);
    people.error(failure);
    return exitCodeOf(failure, context.interrupts.first);
  } finally {
    await Promise.all([people.close(), answer.flush(2000)]);
  }
}

/** A log that is on this machine: the workstation's own, or a copy of an agent's. */
async function verifyHere(argv: AuditArguments, { env }: CommandContext): Promise<AuditReport> {
  const folder = argv.folder ?? stateFolder(env);
  return verifyAudit(folder, [...(argv.head ?? []), ...(await placesOf(argv, stateFolder(env)))]);
}

/** What this workstation has seen of the log of the agent that was named. */
async function placesOf({ agent }: AuditArguments, root: string): Promise<ChainHead[]> {
  if (agent === undefined) return [];
  const places = await knownHostPlaces(agent, root);
  if (places.length > 0) return places;
  throw new CodedError(
    "config.invalid",
    `nothing is known here of the audit log of ${agent.agent} on ${agent.host}`,
    {
      hint: "farside agent status, on this workstation, writes down its newest line each time.",
    },
  );
}

function broken(says: string, where = "its folder"): CodedError {
  return new CodedError("audit.broken", `checking the audit log of ${where}: ${says}`, {
    hint: "Look at the line and its neighbours, and at who can write to those files; copy them before anything is written again.",
  });
}
