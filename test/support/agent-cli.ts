import type { Lab } from "../lab/lab.ts";
import type { ExecResult, LabProcess } from "../lab/lab-process.ts";
import { cliPath, JUMP_LOGIN } from "./farside.ts";

/** An answer of `farside agent`, its lines of JSON parsed. */
export interface AgentAnswer extends ExecResult {
  readonly json: readonly Record<string, unknown>[];
  readonly transcript: string;
}

const line = (subcommand: string, args: readonly string[]) => [
  ...["node", cliPath, "agent", subcommand, JUMP_LOGIN, "--pin-source", "fd:3"],
  ...args,
];
const spawnOptions = (lab: Lab) => ({
  env: lab.cardEnvironment,
  // One PIN: a second one asked for is an error.
  descriptors: lab.pin === "" ? [] : [`${lab.pin}\n`],
});

/** Runs `farside agent SUBCOMMAND` on the lab's workstation, to its end. */
export async function farsideAgent(lab: Lab, subcommand: string, ...args: string[]): Promise<AgentAnswer> {
  const result = await lab.workstation.exec(line(subcommand, args), {
    ...spawnOptions(lab),
    timeoutMs: 50_000,
  });
  const json = result.stdout
    .split("\n")
    .filter((each) => each.startsWith("{"))
    .map((each) => JSON.parse(each) as Record<string, unknown>);
  return { ...result, json, transcript: `exit ${result.code}\n${result.stdout}${result.stderr}` };
}

/** Starts it; for what stays until it is told to end. */
export function startFarsideAgent(lab: Lab, subcommand: string, ...args: string[]): LabProcess {
  const started = lab.workstation.spawn(line(subcommand, args), spawnOptions(lab));
  started.stdin.end();
  return started;
}
