import type { Lab } from "../lab/lab.ts";
import type { LabProcess, SpawnOptions } from "../lab/lab-process.ts";
import { cliPath, JUMP_LOGIN, TARGET_LOGIN } from "../support/farside.ts";

export interface RunCommandOptions extends SpawnOptions {
  /** `user@host` of the jump host; the lab's account where left out. */
  readonly jump?: string;
  /** The forward's port, 4444 where left out. */
  readonly port?: number;
  /** Further options of `run`. */
  readonly options?: readonly string[];
}

const VARIABLE = "LAB_PIN";

/** `node … run … --` without the command; the PIN is in the environment that `runEnvironment` gives. */
export function runWords({ jump = JUMP_LOGIN, port = 4444, options = [] }: RunCommandOptions = {}): string[] {
  const forward = ["-L", `${port}:localhost:4444`, "--via", TARGET_LOGIN];
  return ["node", cliPath, "run", "--pin-source", `env:${VARIABLE}`, jump, ...forward, ...options, "--"];
}

export function runEnvironment(lab: Lab): Record<string, string> {
  return { ...lab.cardEnvironment, [VARIABLE]: lab.pin };
}

/** Starts `farside run … -- COMMAND` on the workstation. Its stdin stays open. */
export function startRun(lab: Lab, command: readonly string[], options: RunCommandOptions = {}): LabProcess {
  return lab.workstation.spawn([...runWords(options), ...command], {
    ...options,
    env: { ...runEnvironment(lab), ...options.env },
  });
}
