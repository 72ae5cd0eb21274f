import { type ErrorCode, errorTable } from "@farside/protocol";
import type { Host } from "../lab/host.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { holdConnection } from "../support/byte-traffic.ts";
import type { FarsideRun } from "../support/farside.ts";
import { isNothing } from "../support/leftovers.ts";
import { waitFor, within } from "../support/wait-for.ts";
import { type FaultLab, LEASE_S, START_TIMEOUT_S } from "./fault-lab.ts";
import type { Fault, FaultContext } from "./faults.ts";
import { isBeforeReady, isEnding, type Phase, reach } from "./phases.ts";

/** From the moment when the fault is over. */
const RESIDUE_MS = (LEASE_S + 5) * 1000;
const END_MS = (START_TIMEOUT_S + LEASE_S + 10) * 1000;
const CLIENT_MS = 5_000;
/** A session that a fault should not have ended gets so long to show that it has. */
const SETTLE_MS = 700;

export interface CycleReport {
  readonly phase: Phase;
  readonly fault: string;
  /** `went on`, or the exit code with the error's: `69 card.removed`. */
  readonly outcome: string;
  /** What was against the rules. */
  readonly problems: readonly string[];
}

/** Starts a session, brings it to `phase`, injects `fault`, heals it, and looks at everything that must be true afterwards. */
export async function runCycle(
  faultLab: FaultLab,
  phase: Phase,
  fault: Fault,
  name: string,
): Promise<CycleReport> {
  const { lab } = faultLab;
  const problems: string[] = [];
  const hosts = [lab.jump, lab.target, lab.workstation];
  await using _clock = fault.movesClock === "jump host" ? await faultLab.startJumpClock() : undefined;
  await Promise.all(hosts.map((host) => host.mark()));
  await using farside = await faultLab.startFarside(name, { movesClock: fault.movesClock === "workstation" });
  const context = { faultLab, farside };
  let clients: readonly LabProcess[] = [];
  let outcome = "not reached";
  let wentOn = false;
  try {
    ({ clients } = await reach(phase, farside, faultLab));
    await inject(fault, context);
    await Promise.race([farside.exit, new Promise((resolve) => setTimeout(resolve, fault.lastsMs))]);
    if (!farside.process.hasEnded || fault.lastsMs > 0) await fault.heal?.(context).catch(() => {});
    wentOn = await goesOn(context.farside, faultLab, phase, fault);
    // It may have been about to end.
    wentOn &&= await isUsable(farside, faultLab);
    if (fault.cutsRelays) problems.push(...(await areTold(clients)));
    if (wentOn) await farside.signal("SIGINT");
    const exit = await within(farside.exit, fault.endsWithinMs ?? END_MS, "the end of farside");
    problems.push(...judgeEnd(farside, fault, { wentOn, phase }));
    const error = farside.of("error").at(-1)?.code;
    outcome = wentOn ? "went on" : `${exit.code ?? exit.signal}${error === undefined ? "" : ` ${error}`}`;
  } catch (error) {
    problems.push(`${(error as Error).message}\n${farside.transcript}`);
  }
  await fault.heal?.(context).catch(() => {});
  await farside.process.kill();
  problems.push(...(await areTold(clients)));
  await Promise.all(clients.map((client) => client.kill()));
  problems.push(...(await leftOn([lab.jump, lab.target])));
  if ((await faultLab.sessionsLeft()).length > 0) {
    const { code, said } = await faultLab.teardownAll();
    if (code !== 0) problems.push(`farside teardown --all: exit ${code}\n${said}`);
    const left = await faultLab.sessionsLeft();
    if (left.length > 0) problems.push(`after the teardown the workstation still has ${left.join()}`);
  }
  problems.push(...(await leftOn([lab.workstation])));
  return { phase, fault: fault.name, outcome, problems };
}

/** Whoever has a connection learns that it is over. */
async function areTold(clients: readonly LabProcess[]): Promise<string[]> {
  const told = clients.map((client) => within(client.exit, CLIENT_MS, "the end of a client"));
  return (await Promise.allSettled(told)).flatMap(({ status }) =>
    status === "rejected" ? ["a client hangs"] : [],
  );
}

/** A process that has just ended by itself can't be hit any more. */
async function inject(fault: Fault, context: FaultContext): Promise<void> {
  try {
    await fault.inject(context);
  } catch (error) {
    const ended = within(context.farside.exit, END_MS, "the end of farside");
    await ended.catch(() => {
      throw error;
    });
  }
}

/** Whether a new connection gets through; false where the session ended meanwhile. */
async function isUsable(farside: FarsideRun, { lab, port }: FaultLab): Promise<boolean> {
  try {
    await using client = await holdConnection(lab.jump, port);
    client.stdin.end();
    return true;
  } catch (error) {
    // Its teardown comes before its end.
    await within(farside.exit, END_MS, "the end of farside").catch(() => {
      throw error;
    });
    return false;
  }
}

/** Whether the session lives on: resolves when it is open (again) and stays so, or has ended. */
async function goesOn(farside: FarsideRun, faultLab: FaultLab, phase: Phase, fault: Fault): Promise<boolean> {
  const ends = fault.interrupt !== undefined || fault.killsOrchestrator === true || isEnding(phase);
  const isExpectedToEnd = ends || (!isBeforeReady(phase) && fault.outcome === "ends");
  if (isExpectedToEnd) return false;
  const ended = farside.exit.then(() => "ended" as const);
  if (isBeforeReady(phase)) {
    const withinMs = fault.endsWithinMs ?? END_MS;
    const isListening = async () =>
      (await faultLab.lab.jump.exec(["ss", "-Hltn", `sport = ${faultLab.port}`])).stdout !== "";
    const hasCome = async () => farside.process.hasEnded || (await isListening());
    const opening = fault.closesStdout
      ? waitFor(hasCome, { what: "the listener", withinMs })
      : farside.waitForEvent("ready", () => true, withinMs);
    const opened = opening.then(
      () => "open" as const,
      () => "ended" as const,
    );
    if ((await opened) === "ended") return false;
  }
  const settled = new Promise<"open">((resolve) => setTimeout(() => resolve("open"), SETTLE_MS));
  return (await Promise.race([ended, settled])) === "open";
}

function judgeEnd(
  farside: FarsideRun,
  fault: Fault,
  { wentOn, phase }: { wentOn: boolean; phase: Phase },
): string[] {
  const { exitCode, signalCode } = farside.process.child;
  const problems: string[] = [];
  const say = (text: string) => problems.push(`${text}\n${farside.transcript}`);
  if (fault.killsOrchestrator) return problems;
  if (signalCode !== null || exitCode === null) say(`farside died of ${signalCode}`);
  if (/^\s+at .+:\d+:\d+\)?$/m.test(farside.transcript)) say("a stack trace was shown");
  if (!isBeforeReady(phase) && fault.outcome === "goes-on" && !isEnding(phase) && !wentOn)
    say("the session should have gone on");
  if (fault.sparesStart?.(phase) && !wentOn) say("the start should have gone on");
  const isInterrupt = fault.interrupt !== undefined || isEnding(phase) || wentOn;
  if (fault.closesStdout) {
    if (isInterrupt ? exitCode !== 0 : exitCode === errorTable.internal.exit) say(`exit ${exitCode}`);
    return problems;
  }
  const errors = farside.of("error");
  const wasReady = farside.of("ready").length > 0;
  if (errors.length > 1) say(`${errors.length} errors`);
  const [error] = errors;
  const calledOff = fault.interrupt === "SIGTERM" ? 143 : 130;
  if (error === undefined) {
    const allowed = exitCode === 0 && wasReady;
    if (!allowed && !(isInterrupt && exitCode === calledOff)) say(`exit ${exitCode} without an error`);
  } else if (error.code === "canceled") {
    if (!isInterrupt || exitCode !== calledOff) say(`canceled, but exit ${exitCode}`);
  } else {
    const wanted = errorTable[error.code as ErrorCode]?.exit;
    if (wanted !== exitCode) say(`${error.code} with exit ${exitCode}, not ${wanted}`);
    if (error.code === "internal") say("an error without a type");
    if (error.leg === undefined && !LEGLESS.has(error.code)) say(`${error.code} names no leg`);
    if ((error.hint ?? "") === "" && !HINTLESS.has(error.code)) say(`${error.code} has no hint`);
  }
  return problems;
}

/** The workstation itself is no leg of the way: what its disk can't keep. */
const LEGLESS: ReadonlySet<string> = new Set(["config.invalid"]);
/** Where the message says all there is. */
const HINTLESS: ReadonlySet<string> = new Set([]);

/** The workstation's state folder is looked at by name, and what moves a clock has files of its own. */
const isExpected = (path: string, { name }: Host): boolean =>
  /^\/dev\/shm\/(sem\.)?faketime/.test(path) ||
  (name === "workstation" && /^\/root\/(state|\.cache)/.test(path));

async function leftOn(hosts: readonly Host[]): Promise<string[]> {
  const problems = await Promise.all(
    hosts.map(async (host) => {
      let residue = await host.residue();
      const look = async () => {
        const found = await host.residue();
        residue = { ...found, files: found.files.filter((path) => !isExpected(path, host)) };
        return isNothing(residue);
      };
      const isClean = await waitFor(look, { what: "nothing left", withinMs: RESIDUE_MS, everyMs: 150 }).catch(
        () => false,
      );
      return isClean ? [] : [`left on ${host.name}: ${JSON.stringify(residue)}`];
    }),
  );
  return problems.flat();
}
