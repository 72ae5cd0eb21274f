import { setTimeout as wait } from "node:timers/promises";
import { type Lab, TARGET } from "../lab/lab.ts";
import { type FarsideRun, JUMP_LOGIN, runFarside, TARGET_LOGIN } from "../support/farside.ts";
import { machinePid } from "../support/machine-pid.ts";
import { type ProcessUsage, usageOf } from "../support/process-usage.ts";
import { waitFor } from "../support/wait-for.ts";

/** Where relays end: at a TCP target that the jump host dials itself, or behind an SSH hop. */
export type TargetKind = "tcp" | "ssh";
export const targetKinds: readonly TargetKind[] = ["tcp", "ssh"];

/** The echo service's, on every address of the target. */
export const ECHO_PORT = 4450;
const listenPorts: Readonly<Record<TargetKind, number>> = { tcp: 4440, ssh: 4444 };

/** /proc/net/tcp and tcp6: an agent opens each when it needs it first, and keeps it open. */
export const KEPT_TABLES = 2;
export interface SettleOptions {
  /** How long descriptors may take to be closed. */
  readonly withinMs: number;
  /** How long it is left alone then: an agent collects its garbage when no relay has been open for half a minute. */
  readonly restMs: number;
}

/** What the two processes of a session have at one moment. */
export interface SessionUsage {
  readonly agent: ProcessUsage;
  readonly orchestrator: ProcessUsage;
}

/** A session of the built command line whose processes are looked at from the machine. */
export class MeasuredSession implements AsyncDisposable {
  readonly kind: TargetKind;
  readonly farside: FarsideRun;
  readonly #pids: Readonly<Record<keyof SessionUsage, number>>;

  private constructor(
    kind: TargetKind,
    farside: FarsideRun,
    pids: Readonly<Record<keyof SessionUsage, number>>,
  ) {
    this.kind = kind;
    this.farside = farside;
    this.#pids = pids;
  }

  /** Resolves once it is ready. `options`: further ones of `farside forward`. */
  static async start(lab: Lab, kind: TargetKind, options: readonly string[] = []): Promise<MeasuredSession> {
    const port = listenPorts[kind];
    const way =
      kind === "tcp"
        ? ["-L", `${port}:${TARGET}:${ECHO_PORT}`]
        : ["-L", `${port}:localhost:${ECHO_PORT}`, "--via", TARGET_LOGIN];
    const farside = runFarside(lab, ["forward", JUMP_LOGIN, ...way, ...options]);
    try {
      await farside.ready();
      const [ready] = farside.of("agent.ready");
      const [agent, orchestrator] = await Promise.all([
        machinePid(lab.jump, ready?.pid ?? 0),
        farside.process.pid(),
      ]);
      return new MeasuredSession(kind, farside, { agent, orchestrator });
    } catch (error) {
      await farside.process.kill();
      throw error;
    }
  }

  get port(): number {
    return listenPorts[this.kind];
  }

  async usage(): Promise<SessionUsage> {
    const [agent, orchestrator] = await Promise.all([
      usageOf(this.#pids.agent),
      usageOf(this.#pids.orchestrator),
    ]);
    return { agent, orchestrator };
  }

  /** What it has at rest, once no more descriptors are open than `before`, or after the deadline. */
  async settled(before: SessionUsage, { withinMs, restMs }: SettleOptions): Promise<SessionUsage> {
    const isBack = async (): Promise<boolean> => {
      const now = await this.usage();
      return now.agent.descriptors <= before.agent.descriptors + KEPT_TABLES;
    };
    await waitFor(isBack, { what: "descriptors", withinMs, everyMs: 250 }).catch(() => {});
    await wait(restMs);
    return this.usage();
  }

  /** Ends it by SIGINT; what was not as it should be then. */
  async end(): Promise<string[]> {
    const { exit, receipt } = await this.farside.end();
    return [
      ...(exit.code === 0 ? [] : [`farside ended with ${exit.code}`]),
      ...(receipt?.clean === true ? [] : ["the receipt is not clean"]),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.farside[Symbol.asyncDispose]();
  }
}
