import type { AuditReport } from "@farside/protocol/audit";
import { times } from "../output/describe-event.ts";

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
