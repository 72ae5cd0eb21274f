import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { transform } from "esbuild";
import { checkout, type Lab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { type Lag, lagOf, lagProbe } from "../support/event-loop-lag.ts";
import { TARGET_LOGIN } from "../support/farside.ts";
import { whatStays } from "../support/leftovers.ts";
import { type ProcessUsage, usageOf } from "../support/process-usage.ts";
import { waitFor, within } from "../support/wait-for.ts";
import { startJumpHosts } from "./jump-hosts.ts";
import { ECHO_PORT } from "./measured-session.ts";

const EXAMPLE = join(checkout, "packages/cli/examples/many-jump-hosts.ts");

export interface JumpHostsReport {
  readonly hosts: number;
  readonly startSeconds: number;
  /** Until all hops were there again after the target's sshd was restarted. */
  readonly againSeconds: number;
  readonly endSeconds: number;
  readonly pinEntries: number;
  readonly signatures: number;
  /** Of the orchestrator: with the card open and no session, with all of them, and meanwhile at most. */
  readonly usage: { readonly before: ProcessUsage; readonly held: ProcessUsage };
  readonly lag: { readonly starting: Lag; readonly held: Lag; readonly ending: Lag };
  /** Lines that told of signatures that wait. */
  readonly queueLines: readonly string[];
  readonly problems: readonly string[];
}

export interface JumpHostsOptions {
  readonly lab: Lab;
  readonly count: number;
  readonly holdMs: number;
  /** How long the card takes for a signature, besides its own work; default as long as it does by itself. */
  readonly signatureMs?: number;
  readonly say?: (line: string) => void;
}

/**
 * One program, the example of docs/many-jump-hosts.md as Node runs it, holds a session to each of `count` jump hosts with one card; the target of all
 * of them is one host, whose sshd turns away more than ten logins at a time (OpenSSH's default).
 */
export async function holdJumpHosts(options: JumpHostsOptions): Promise<JumpHostsReport> {
  const { lab, count, holdMs, signatureMs = 0, say = () => {} } = options;
  const jumps = await startJumpHosts(lab, count);
  await lab.target.sshd.stop();
  await startStrictSshd(lab);
  await lab.jump.mark();
  await lab.card.resetCounters();
  await lab.card.setDelay(signatureMs);
  const startedAt = performance.now();
  await using program = await startExample(lab, jumps);
  const pid = await program.pid();
  const lines = (pattern: RegExp): string[] =>
    program.stdout.split("\n").filter((line) => pattern.test(line));
  const opened = () => lines(/: open at /).length;
  const until = (what: string, isThere: () => boolean, withinMs: number) =>
    waitFor(() => isThere() || program.hasEnded, {
      ...{ what, withinMs, everyMs: 200 },
      detail: () => `${program.stdout}\n${program.stderr}`,
    });
  await until("the card", () => lines(/logged in/).length > 0, 40_000);
  const before = await usageOf(pid);
  // Until now modules were loaded.
  await lagOf(program);
  await until(
    `${count} sessions`,
    () => {
      say(`${opened()} of ${count} are open`);
      return lines(/^build-/).length >= count;
    },
    60_000 + count * 3_000,
  );
  const startSeconds = (performance.now() - startedAt) / 1000;
  const starting = await lagOf(program);
  // Here time itself is what is tested: a lease is 15 s.
  await wait(holdMs);
  const held = await usageOf(pid);
  const heldLag = await lagOf(program);
  const againSeconds = await restartTarget(lab, count);
  say(`all are there again after ${againSeconds.toFixed(1)} s`);
  const endsAt = performance.now();
  await program.signal("SIGINT");
  const { code } = await within(program.exit, 60_000 + count * 1_000, "the end of the program");
  const endSeconds = (performance.now() - endsAt) / 1000;
  const ending = await lagOf(program);
  const { verifies, signs } = await lab.card.counters();
  const signatures = Object.values(signs).reduce((sum, each) => sum + each, 0);
  // Its connections are over; sshd's own processes for them may need a moment.
  const residue = await whatStays(lab.jump);
  const problems = [
    ...lines(/^build-(?!.*: open at )/),
    ...(opened() === count ? [] : [`${opened()} of ${count} opened`]),
    ...(program.stdout.includes(`${count} of ${count} are clean`) ? [] : ["not all are clean"]),
    ...(code === 0 ? [] : [`it ended with ${code}`]),
    ...(verifies === 1 ? [] : [`${verifies} PIN entries`]),
    ...(signatures === 3 * count ? [] : [`${signatures} signatures for ${3 * count} logins`]),
    ...[...residue.processes, ...residue.listeners, ...residue.files].map(
      (left) => `left: ${JSON.stringify(left)}`,
    ),
    ...(/beginning MaxStartups/.test(await lab.target.sshd.log()) ? ["the target turned logins away"] : []),
  ];
  return {
    ...{ hosts: count, startSeconds, againSeconds, endSeconds, pinEntries: verifies, signatures, problems },
    usage: { before, held },
    lag: { starting, held: heldLag, ending },
    queueLines: lines(/signatures? waits? for it/),
  };
}

/** An sshd that turns away more than ten logins at a time, each of them. */
const startStrictSshd = (lab: Lab): Promise<void> =>
  lab.target.sshd.start(["MaxStartups 10:100:10"], { without: /^MaxStartups/ });

/** Restarts the target's sshd with all its logins, as an update does, and waits until `count` have logged in again; in seconds. */
async function restartTarget(lab: Lab, count: number): Promise<number> {
  const logins = async (): Promise<number> =>
    Number((await lab.target.exec(["pgrep", "-c", "-u", "signer", "sshd"])).stdout);
  await lab.target.sshd.stop();
  await lab.target.exec(["pkill", "-u", "signer", "sshd"]);
  await waitFor(async () => (await logins()) === 0, { what: "the end of the logins at the target" });
  await startStrictSshd(lab);
  const restartedAt = performance.now();
  const limits = { what: `${count} logins at the target`, withinMs: 30_000 + count * 3_000, everyMs: 100 };
  await waitFor(async () => (await logins()) >= count, limits);
  return (performance.now() - restartedAt) / 1000;
}

/** Runs it as Node does, without a loader for TypeScript that would weigh more than it. */
async function startExample(lab: Lab, jumps: readonly string[]): Promise<LabProcess> {
  const { code } = await transform(await readFile(EXAMPLE, "utf8"), {
    loader: "ts",
    format: "esm",
    target: "node20",
  });
  const node = ["node", "--import", lagProbe, "--input-type=module", "-e", code];
  const started = lab.workstation.spawn(
    [...node, "example", `0:localhost:${ECHO_PORT}`, TARGET_LOGIN, ...jumps],
    {
      env: { ...lab.cardEnvironment, FARSIDE_PIN_SOURCE: "fd:3" },
      descriptors: [`${lab.pin}\n`],
      // Its packages are looked for from there.
      cwd: dirname(dirname(EXAMPLE)),
    },
  );
  started.stdin.end();
  return started;
}
