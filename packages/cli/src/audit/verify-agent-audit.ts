import {
  type HostAudit,
  knownHostPlaces,
  noteHostAudit,
  stateFolder,
  verifyHostAudit,
} from "@farside/orchestrator";
import { type AuditReport, verifyAudit } from "@farside/protocol/audit";
import prettyBytes from "pretty-bytes";
import { connectBuildServer, logInToBuildServer } from "../agent/agent-login.ts";
import type { CommandContext } from "../command-context.ts";
import type { AuditArguments } from "../commands/audit.ts";
import type { PeopleReporter } from "../output/people-reporter.ts";

/**
 * Logs in to the host of an installed agent and checks its audit log there against what this workstation has seen of it. Where nothing
 * is wrong, its newest line is written down here, as by `farside agent status`.
 */
export async function verifyAgentAudit(
  argv: AuditArguments,
  { host: written, agent: name }: HostAudit,
  context: CommandContext,
  people: PeopleReporter,
): Promise<AuditReport> {
  const { interrupts, env } = context;
  const root = stateFolder(env);
  people.step(`connecting to ${written}`);
  await using login = await logInToBuildServer({ ...argv, host: written }, context, people);
  const { host } = login.login;
  const seen = await knownHostPlaces({ host, agent: name }, root);
  if (seen.length > 0 && (await verifyAudit(root)).findings.length > 0)
    people.warn(
      "this workstation's own audit log is not as it was written: farside audit verify says what of it",
    );
  await using server = await connectBuildServer(login, argv, context, people);
  const report = await verifyHostAudit({
    ...{ installer: server.installer, name, host, signal: interrupts.signal },
    known: [...(argv.head ?? []), ...seen],
    onBytes: (bytes) => people.step(`reading the audit log of ${name}, ${prettyBytes(bytes)}`),
  });
  const { last, findings } = report;
  if (last !== undefined && findings.length === 0) await noteHostAudit({ host, agent: name }, last, root);
  const isNew = seen.length === 0 && argv.head === undefined;
  return {
    ...report,
    files: [`the log of ${name} on ${host}`],
    notes: [
      ...report.notes,
      ...(isNew ? ["nothing was known here of this log before: from now on its newest line is"] : []),
    ],
  };
}
