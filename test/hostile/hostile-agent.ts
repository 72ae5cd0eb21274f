import { readFile } from "node:fs/promises";
import type { Lab } from "../lab/lab.ts";
import { installProgram } from "../lab/program.ts";
import { type FarsideRun, mainJob, runFarside } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";

/** Ways to send without end. */
export const floods = ["event-flood", "warning-flood", "sign-flood", "log-flood"] as const;
export type Flood = (typeof floods)[number];

/** farside's arguments for the main job with a hostile agent in the place of its own; see test/lab/programs/hostile-agent.ts. */
export async function plantAgent(lab: Lab, mode: string): Promise<string[]> {
  const program = (await installProgram(lab.jump, "hostile-agent")).join(" ");
  const node = `/opt/lab/node-${mode}`;
  // What the bootstrap takes for node: its arguments are `-e LOADER NONCE DIGEST`.
  const script = `#!/bin/sh
if [ "$1" = -v ]; then echo v20.11.1; exit; fi
exec ${program} ${mode} "$3" "$4"
`;
  await lab.jump.writeFile(node, script);
  await lab.jump.run(["chmod", "755", node]);
  // It does not stop when it is asked to.
  return [...mainJob(), "--remote-node", node, "--start-timeout", "10", "--grace", "1"];
}

export interface FloodReport {
  /** Resident memory of the orchestrator in bytes: when it was ready, and at most while it was flooded. */
  readonly before: number;
  readonly peak: number;
  readonly events: number;
  readonly exitCode: number | null;
}

/** Lets an agent flood the orchestrator for that long, then ends the session. */
export async function flood(lab: Lab, mode: Flood, forMs: number): Promise<FloodReport> {
  await using farside = runFarside(lab, await plantAgent(lab, mode));
  await farside.ready();
  const before = await memoryOf(farside);
  const until = performance.now() + forMs;
  let peak = 0;
  await waitFor(
    async () => {
      peak = Math.max(peak, await memoryOf(farside));
      return performance.now() >= until;
    },
    { what: "the end of the flood", withinMs: forMs + 5_000, everyMs: 50 },
  );
  const events = farside.events.length;
  const { exit } = await farside.end();
  return { before, peak, events, exitCode: exit.code };
}

async function memoryOf(farside: FarsideRun): Promise<number> {
  const status = await readFile(`/proc/${await farside.process.pid()}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
