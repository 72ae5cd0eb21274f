import { emptyDisks, fillDisks } from "../lab/full-disks.ts";
import { blackhole, endBlackhole } from "../lab/network.ts";
import type { FarsideRun } from "../support/farside.ts";
import { type FaultLab, LEASE_S } from "./fault-lab.ts";
import { isBeforeReady, type Phase } from "./phases.ts";

/** What may become of the session; `either` is for faults that race with what it does at that moment. */
export type Outcome = "goes-on" | "ends" | "either";

export interface FaultContext {
  readonly faultLab: FaultLab;
  readonly farside: FarsideRun;
}

export interface Fault {
  readonly name: string;
  /** How long until it is healed. */
  readonly lastsMs: number;
  /** For a session that is open. Before that, every fault but those with `sparesStart` may end the start, and none has to. */
  readonly outcome: Outcome;
  readonly inject: (context: FaultContext) => Promise<unknown>;
  readonly heal?: (context: FaultContext) => Promise<unknown>;
  /** Default: at every phase. */
  readonly applies?: (phase: Phase) => boolean;
  /** The operator's own wish: the exit code is that of an interrupt. */
  readonly interrupt?: "SIGINT" | "SIGTERM";
  /** Where that may take longer than for the others. */
  readonly endsWithinMs?: number;
  /** Where a start does without what it takes away, or gets over it: it must not end it. Default: nowhere. */
  readonly sparesStart?: (phase: Phase) => boolean;
  /** Nobody is left to say anything. */
  readonly killsOrchestrator?: true;
  /** Nobody hears what is said on stdout. */
  readonly closesStdout?: true;
  /** What goes through an open connection is lost: its client is told, also where the session goes on. */
  readonly cutsRelays?: true;
  /** Whose clock must be one that can be moved. */
  readonly movesClock?: "workstation" | "jump host";
}

const LONG_MS = (LEASE_S + 2) * 1000;
const SHORT_MS = 800;
const CARD_OUT_MS = 1_500;
/** A signature has a minute. */
const HUNG_MS = 80_000;

const signer = ["workstation", "node .*signer-main"] as const;
const agent = ["jump", "^farside-agent"] as const;
const jumpLogin = ["jump", "^sshd: (builder|unknown|\\[accepted\\]|\\[net\\])"] as const;
const targetLogin = ["target", "^sshd: (signer|unknown|\\[accepted\\]|\\[net\\])"] as const;
type Processes = readonly ["workstation" | "jump" | "target", string];

/** There may be none at that moment, which is no fault then. */
const signalAll = (
  [host, pattern]: Processes,
  signal: string,
): ((context: FaultContext) => Promise<unknown>) => {
  return ({ faultLab }) => faultLab.lab[host].exec(["pkill", `-${signal}`, "-f", pattern]);
};

/** Whatever stands still there: what was stopped may have become another program at that very moment, as a login's process does. */
const goOnAt = ([host]: Processes): ((context: FaultContext) => Promise<unknown>) => {
  const command = "ps -eo pid=,stat= | awk '$2 ~ /^T/ { print $1 }' | xargs -r kill -CONT";
  return ({ faultLab }) => faultLab.lab[host].exec(["sh", "-c", command]);
};

const killed = (
  name: string,
  processes: Processes,
  signal: "INT" | "TERM" | "KILL",
  outcome: Outcome,
): Fault => ({
  name: `${name}: SIG${signal}`,
  lastsMs: 0,
  outcome,
  inject: signalAll(processes, signal),
});

const stopped = (name: string, processes: Processes, lastsMs: number, outcome: Outcome): Fault => ({
  name: `${name}: stopped for ${lastsMs > SHORT_MS ? "longer than the lease" : "a moment"}`,
  lastsMs,
  outcome,
  inject: signalAll(processes, "STOP"),
  heal: goOnAt(processes),
});

/** nsenter, which waits for a process in the lab, stops with it. */
const goOn = async ({ farside }: FaultContext): Promise<void> => {
  farside.process.child.kill("SIGCONT");
  await farside.signal("SIGCONT");
};

const orchestratorStopped = (lastsMs: number, outcome: Outcome): Fault => ({
  name: `orchestrator: stopped for ${lastsMs > SHORT_MS ? "longer than the lease" : "a moment"}`,
  lastsMs,
  outcome,
  inject: ({ farside }) => farside.signal("SIGSTOP"),
  heal: goOn,
});

const clock = (of: "workstation" | "jump host", how: string, offset: string): Fault => {
  const set = ({ faultLab }: FaultContext, to: string): Promise<void> =>
    of === "workstation" ? faultLab.setClock(to) : faultLab.setJumpClock(to);
  return {
    name: `${of}'s clock: ${how}`,
    lastsMs: SHORT_MS,
    outcome: "goes-on",
    sparesStart: isBeforeReady,
    movesClock: of,
    inject: (context) => set(context, offset),
    heal: (context) => set(context, "+0"),
  };
};

const module = (how: string): Fault => ({
  name: `card's module: ${how}`,
  lastsMs: SHORT_MS,
  outcome: "goes-on",
  applies: (phase) => isBeforeReady(phase) || phase === "ready",
  inject: ({ faultLab }) => faultLab.failModule(how),
  heal: ({ faultLab }) => faultLab.failModule(""),
});

/** A module that never comes back, until the operator has had enough. */
const hangingModule = (where: string): Fault => ({
  ...module(`${where} hang`),
  name: `card's module: ${where} hang, then Ctrl-C`,
  outcome: "ends",
  interrupt: "SIGINT",
  heal: async ({ faultLab, farside }) => {
    await farside.signal("SIGINT").catch(() => {});
    await faultLab.failModule("");
  },
});

/** A module that never comes back, and nobody who calls it off: its own deadline ends it. */
const hungModule = (where: string, at: readonly Phase[]): Fault => ({
  name: `card's module: ${where} hang, until it counts as hung`,
  lastsMs: HUNG_MS,
  endsWithinMs: HUNG_MS,
  outcome: "ends",
  applies: (phase) => at.includes(phase),
  inject: ({ faultLab }) => faultLab.failModule(`${where} hang`),
  heal: ({ faultLab }) => faultLab.failModule(""),
});

/** Every fault, on either side, that a cycle may inject. */
export const faults: readonly Fault[] = [
  ...(["SIGINT", "SIGTERM"] as const).map(
    (signal): Fault => ({
      name: `orchestrator: ${signal}`,
      lastsMs: 0,
      outcome: "ends",
      interrupt: signal,
      inject: ({ farside }) => farside.signal(signal),
    }),
  ),
  {
    name: "orchestrator: SIGKILL",
    lastsMs: 0,
    outcome: "ends",
    killsOrchestrator: true,
    inject: ({ farside }) => farside.signal("SIGKILL"),
  },
  orchestratorStopped(SHORT_MS, "goes-on"),
  orchestratorStopped(LONG_MS, "ends"),
  {
    name: "laptop asleep for longer than the lease",
    lastsMs: LONG_MS,
    outcome: "ends",
    inject: ({ faultLab }) => faultLab.lab.sleepWorkstation(),
    heal: async (context) => {
      await context.faultLab.lab.wakeWorkstation();
      await goOn(context);
    },
  },
  // It does not listen to them: a Ctrl-C is for farside, which ends it in order.
  killed("signer", signer, "INT", "goes-on"),
  killed("signer", signer, "TERM", "goes-on"),
  killed("signer", signer, "KILL", "goes-on"),
  stopped("signer", signer, SHORT_MS, "goes-on"),
  stopped("signer", signer, LONG_MS, "goes-on"),
  killed("agent", agent, "INT", "ends"),
  killed("agent", agent, "TERM", "ends"),
  killed("agent", agent, "KILL", "ends"),
  stopped("agent", agent, SHORT_MS, "goes-on"),
  stopped("agent", agent, LONG_MS, "ends"),
  killed("jump host's sshd", jumpLogin, "INT", "ends"),
  killed("jump host's sshd", jumpLogin, "TERM", "ends"),
  killed("jump host's sshd", jumpLogin, "KILL", "ends"),
  stopped("jump host's sshd", jumpLogin, SHORT_MS, "goes-on"),
  stopped("jump host's sshd", jumpLogin, LONG_MS, "ends"),
  ...(["INT", "TERM", "KILL"] as const).map(
    (signal): Fault => ({ ...killed("target's sshd", targetLogin, signal, "either"), cutsRelays: true }),
  ),
  stopped("target's sshd", targetLogin, SHORT_MS, "goes-on"),
  stopped("target's sshd", targetLogin, LONG_MS, "either"),
  {
    name: "workstation's cable: out for a moment",
    lastsMs: SHORT_MS,
    outcome: "goes-on",
    // No lease runs yet.
    sparesStart: (phase) => phase === "connecting" || phase === "card-login",
    inject: ({ faultLab }) => faultLab.lab.cutWorkstationLink(),
    heal: ({ faultLab }) => faultLab.lab.restoreWorkstationLink(),
  },
  {
    name: "workstation's cable: out for longer than the lease",
    lastsMs: LONG_MS,
    outcome: "ends",
    inject: ({ faultLab }) => faultLab.lab.cutWorkstationLink(),
    heal: ({ faultLab }) => faultLab.lab.restoreWorkstationLink(),
  },
  {
    name: "workstation's network: packets dropped for longer than the lease",
    lastsMs: LONG_MS,
    outcome: "ends",
    inject: ({ faultLab }) => faultLab.lab.blackholeWorkstationLink(),
    heal: ({ faultLab }) => faultLab.lab.endBlackhole(),
  },
  {
    name: "workstation's connections: reset",
    lastsMs: 0,
    outcome: "ends",
    // The kernel ends them and tells the other side.
    inject: ({ faultLab: { lab } }) => lab.jump.exec(["ss", "-K", "dst", lab.workstation.address]),
  },
  {
    name: "target's connections: reset",
    lastsMs: 0,
    outcome: "either",
    cutsRelays: true,
    inject: ({ faultLab: { lab } }) => lab.target.exec(["ss", "-K", "dst", lab.jump.address]),
  },
  {
    name: "target's network: packets dropped for longer than the lease",
    lastsMs: LONG_MS,
    outcome: "either",
    inject: ({ faultLab }) => blackhole(faultLab.lab.target, "to-jump"),
    heal: ({ faultLab }) => endBlackhole(faultLab.lab.target),
  },
  {
    name: "target's cable: out for longer than the lease",
    lastsMs: LONG_MS,
    outcome: "either",
    inject: ({ faultLab }) => faultLab.lab.target.linkDown("to-jump"),
    heal: ({ faultLab }) => faultLab.lab.target.linkUp("to-jump"),
  },
  {
    name: "stdout: closed",
    lastsMs: 0,
    outcome: "either",
    closesStdout: true,
    inject: async ({ farside }) => void farside.process.output.destroy(),
  },
  {
    name: "workstation's disk: full",
    lastsMs: SHORT_MS,
    outcome: "goes-on",
    inject: ({ faultLab }) => faultLab.fillDisk(),
    heal: ({ faultLab }) => faultLab.emptyDisk(),
  },
  {
    name: "jump host's disk: full",
    lastsMs: SHORT_MS,
    outcome: "goes-on",
    // farside is in memory only there.
    sparesStart: isBeforeReady,
    inject: ({ faultLab }) => fillDisks(faultLab.lab.jump),
    heal: ({ faultLab }) => emptyDisks(faultLab.lab.jump),
  },
  clock("workstation", "a day ahead, then back", "+1d"),
  clock("workstation", "a day behind, then right again", "-1d"),
  clock("jump host", "a day ahead, then back", "+1d"),
  clock("jump host", "a day behind, then right again", "-1d"),
  {
    name: "card: out and in again",
    lastsMs: CARD_OUT_MS,
    // OpenSC 0.23 never comes back from a signature in which that happens (its issue 2707): it has a minute, then it is ended.
    endsWithinMs: 80_000,
    outcome: "goes-on",
    inject: ({ faultLab }) => faultLab.lab.card.remove(),
    heal: ({ faultLab }) => faultLab.lab.card.insert(),
  },
  ...["C_Sign crash", "C_Sign exit", "C_Login crash", "C_Login exit"].map(module),
  hangingModule("C_Sign"),
  hangingModule("C_Login"),
  // By themselves: C_Login has 20 s, C_Sign a minute. Only where the call is still to come, for sure.
  hungModule("C_Sign", ["connecting", "deploying"]),
  hungModule("C_Login", ["connecting"]),
];
