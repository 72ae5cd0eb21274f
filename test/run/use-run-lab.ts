import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type Lab, startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { startEcho } from "../support/echo-service.ts";
import { waitFor } from "../support/wait-for.ts";
import { type RunCommandOptions, startRun } from "./run-command.ts";

/** A tree that survives everything but SIGKILL: in the group, out of the group, and without its output. */
export const DEAF = "trap '' TERM INT HUP; while :; do sleep 0.2; done";
/** Deaf before it says that it is up. */
export const TREE = `trap '' TERM INT HUP; (${DEAF}) & setsid nohup sh -c "${DEAF}" </dev/null >/dev/null 2>&1 & echo up; ${DEAF}`;

/** What tests of `farside run` have. */
export interface RunLab {
  /** After the set-up only. */
  readonly lab: Lab;
  /** Starts `farside run … -- COMMAND`; what still runs after a test is killed. */
  start(command: readonly string[], options?: RunCommandOptions): LabProcess;
  /** The same for a script of sh(1). */
  sh(script: string, options?: RunCommandOptions): LabProcess;
}

/** A lab with a service behind the target's port 4444, for the tests of a `describe`; before each, the jump host's state is marked. */
export function useRunLab(): RunLab {
  let lab: Lab;
  let service: LabProcess;
  const runs: LabProcess[] = [];
  beforeAll(async () => {
    lab = await startLab();
    service = await startEcho(lab.target, 4444);
    const keys = await lab.jump.readFile("/home/builder/.ssh/authorized_keys");
    await lab.jump.writeFile("/root/.ssh/authorized_keys", keys);
  });
  afterAll(async () => {
    await service?.kill();
    await lab?.close();
  });
  beforeEach(() => lab.jump.mark());
  afterEach(async () => {
    await Promise.all(runs.splice(0).map((run) => run.kill()));
  });
  const start = (command: readonly string[], options?: RunCommandOptions) => {
    const run = startRun(lab, command, options);
    runs.push(run);
    return run;
  };
  return {
    get lab() {
      return lab;
    },
    start,
    sh: (script, options) => start(["sh", "-c", script], options),
  };
}

/** Resolves when the command has said `text`, or has ended. */
export async function said(run: LabProcess, text: string): Promise<void> {
  await waitFor(() => run.stdout.includes(text) || run.hasEnded, {
    what: `${text} on stdout`,
    withinMs: 30_000,
    detail: () => run.stdout + run.stderr,
  });
}

/** Ends its input and waits for its end. */
export async function ended(run: LabProcess) {
  run.stdin.end();
  const { code } = await run.exit;
  return { code, stdout: run.stdout, stderr: run.stderr };
}
