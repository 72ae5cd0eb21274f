/**
 * A command and what it started, for ending all of it. Its own entry (`@farside/protocol/process-family`): the agent has
 * commands, and so has the workstation with `--here`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** How long processes that got SIGKILL may take to go; one in a system call that can't be interrupted may stay. */
const KILL_TIMEOUT_MS = 2_000;
const FIRST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 100;

export interface EndOptions {
  /** What it gets between SIGTERM and SIGKILL. 0: SIGKILL at once. */
  readonly graceMs: number;
  /** Ends the grace. */
  readonly hurry?: AbortSignal | undefined;
}

/**
 * A process group, led by the process with its number, and whatever has left it but carries a variable in its environment
 * that nobody else has. What has left the group and wiped its environment is not found. Where there is no /proc, it is the group alone.
 */
export class ProcessFamily {
  readonly #groupId: number;
  readonly #mark: Buffer;
  #isLeaderReaped = false;

  /** `mark`: `NAME=value`, with a value that can't be guessed. */
  constructor(groupId: number, mark: string) {
    this.#groupId = groupId;
    // With its end, so that no longer value has it.
    this.#mark = Buffer.from(`${mark}\0`);
  }

  /** The leader was waited for: from now on its number may be somebody else's, unless its group has members. */
  leaderReaped(): void {
    this.#isLeaderReaped = true;
  }

  /** Pids of the living members, this process excepted. */
  members(): number[] {
    return pids().filter((pid) => pid !== process.pid && this.#isMember(pid));
  }

  /** Sends `signal` to the group alone; false where there is none any more. */
  signalGroup(signal: NodeJS.Signals): boolean {
    if (this.#isLeaderReaped && !this.members().some((pid) => groupOf(pid) === this.#groupId)) return false;
    return send(-this.#groupId, signal);
  }

  /** Sends `signal` to every member; how many there were. */
  signalAll(signal: NodeJS.Signals): number {
    // The group in one call first: it can't fork away from it.
    if (!this.#isLeaderReaped) send(-this.#groupId, signal);
    const members = this.members();
    for (const pid of members) send(pid, signal);
    return members.length;
  }

  /** SIGKILL to every member, again for what they forked meanwhile. Does not wait: for a process that is about to exit. */
  killNow(): void {
    for (let round = 0; round < 5 && this.signalAll("SIGKILL") > 0; round += 1);
  }

  /** SIGTERM, and SIGKILL after the grace. Resolves when nobody is left, or nobody can be ended. Never rejects. */
  async end({ graceMs, hurry }: EndOptions): Promise<void> {
    if (graceMs > 0 && hurry?.aborted !== true) {
      if (this.signalAll("SIGTERM") === 0) return;
      // One that is stopped takes SIGTERM when it goes on.
      this.signalAll("SIGCONT");
      if (await this.#gone(graceMs, hurry)) return;
    }
    const endsAt = performance.now() + KILL_TIMEOUT_MS;
    while (this.signalAll("SIGKILL") > 0 && performance.now() < endsAt) await wait(FIRST_LOOK_MS);
  }

  async #gone(withinMs: number, hurry: AbortSignal | undefined): Promise<boolean> {
    const endsAt = performance.now() + withinMs;
    for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 1.5, LONGEST_LOOK_MS)) {
      if (this.members().length === 0) return true;
      const left = endsAt - performance.now();
      if (left <= 0 || hurry?.aborted === true) return false;
      await wait(Math.min(pause, left), undefined, hurry && { signal: hurry }).catch(() => {});
    }
  }

  #isMember(pid: number): boolean {
    const group = groupOf(pid);
    if (group === undefined) return false;
    return group === this.#groupId || readIfOwn(`/proc/${pid}/environ`)?.includes(this.#mark) === true;
  }
}

function pids(): number[] {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
}

/** The process group of a living process; undefined for a dead one, which may wait for its parent. */
function groupOf(pid: number): number | undefined {
  const stat = readIfOwn(`/proc/${pid}/stat`)?.toString("latin1");
  const [state, , group] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  return state === undefined || state === "Z" || state === "X" ? undefined : Number(group);
}

/** What may be read: of another user's process the environment may not. */
function readIfOwn(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
