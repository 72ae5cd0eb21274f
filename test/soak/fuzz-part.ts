import { fuzzTargets as ofAgent } from "@farside/agent/testing";
import { fuzzTargets as ofOrchestrator } from "@farside/orchestrator/testing";
import { type FuzzTarget, fuzz, fuzzTargets as ofProtocol } from "@farside/protocol/testing";
import { fuzzTargets as ofSmartcard } from "@farside/smartcard/testing";
import { fuzzTargets as ofSsh } from "@farside/ssh/testing";
import type { SoakPart } from "./part.ts";

const EXECUTIONS = 100_000;
const targets: readonly FuzzTarget[] = [
  ...ofProtocol,
  ...ofSsh,
  ...ofOrchestrator,
  ...ofSmartcard,
  ...ofAgent,
];

/** Coverage-guided fuzzing of every decoder of what comes from outside. */
export const fuzzPart: SoakPart = async ({ seed, scale, say }) => {
  const problems: string[] = [];
  const rows = targets.map((target, index) => {
    const report = fuzz(target, { executions: Math.ceil(EXECUTIONS * scale), seed: seed + index });
    const { executions, corpus, reached, failure } = report;
    say(`${target.name}: ${executions} executions`);
    if (failure !== undefined) problems.push(`${target.name}: ${String(failure.error)}, on ${failure.input}`);
    return `| ${target.name} | ${executions} | ${reached} | ${corpus} | ${failure === undefined ? "none" : "one"} |`;
  });
  const table = [
    "| decoder | executions | characters of code reached | inputs that reached new code | failures |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return { problems, table, page: { path: "docs/security.md", kind: "place" } };
};
