import type { Host } from "../lab/host.ts";
import { processesOf } from "../lab/host-state.ts";
import { type Lab, startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { debianRoot } from "../matrix/debian-root.ts";
import { startEcho } from "../support/echo-service.ts";
import { cliPath, type FarsideRun, mainJob, runFarside } from "../support/farside.ts";
import { waitFor } from "../support/wait-for.ts";
import { penaltiesIn, type SshdPenalties } from "./sshd-penalties.ts";

/** The PIN for each time that the card was put back. */
const PIN_ENTRIES = 1_000;
const PORT = 4444;
/** A connection through the forward that gets one byte back. */
const TALK = `exec 3<>/dev/tcp/127.0.0.1/${PORT} && echo x >&3 && read -t 8 -n 1 -u 3`;
/** As a build job that does not give up: every hop that is lost is wanted at once. */
const TRAFFIC = `while sleep 1; do timeout 10 bash -c '${TALK}'; done > /dev/null 2>&1`;
const TALK_WITHIN_MS = 90_000;
/** More than an address may come to with sshd's defaults: each connection that tries no login costs 1 s, 15 s are the limit. */
const RUDE = "for i in $(seq 20); do exec 3<>/dev/tcp/$0/22; exec 3>&-; done";

export interface PenaltyLabOptions {
  /** First lines of both hosts' sshd_config; PerSourcePenalties are on by default. */
  readonly sshd?: readonly string[];
}

/** Jump host and target with the sshd of Debian 13 (OpenSSH 10.0), a service behind the target, and a client that wants it all the time. */
export class PenaltyLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly #sshd: readonly string[];
  readonly #programs: readonly LabProcess[];

  private constructor(lab: Lab, sshd: readonly string[], programs: readonly LabProcess[]) {
    this.lab = lab;
    this.#sshd = sshd;
    this.#programs = programs;
  }

  static async start({ sshd = [] }: PenaltyLabOptions = {}): Promise<PenaltyLab> {
    const root = await debianRoot("trixie");
    const lab = await startLab({ jumpRoot: root, targetRoot: root });
    try {
      const echo = await startEcho(lab.target, PORT);
      const traffic = lab.jump.spawn(["bash", "-c", TRAFFIC], { user: lab.jump.user });
      const made = new PenaltyLab(lab, sshd, [echo, traffic]);
      if (sshd.length > 0) {
        for (const host of [lab.jump, lab.target]) {
          await host.sshd.stop();
          await made.startSshd(host);
        }
      }
      return made;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  startSshd(host: Host): Promise<void> {
    return host.sshd.start(this.#sshd);
  }

  /** The main job, ready. */
  async startFarside(options: readonly string[]): Promise<FarsideRun> {
    const { lab } = this;
    const pin = `${lab.pin}\n`.repeat(PIN_ENTRIES);
    const farside = runFarside(lab, [...mainJob(PORT), ...options], { pin });
    try {
      await farside.ready();
      return farside;
    } catch (error) {
      await farside.process.kill();
      throw error;
    }
  }

  /** Ends every SSH connection that is logged in to `host`, as an administrator does. */
  async killLogins(host: Host): Promise<void> {
    for (const text of (await processesOf(host.initPid)).values()) {
      const [, pid] = /^(\d+) uid \d+ sshd-session: \w+(?:@notty)?$/.exec(text) ?? [];
      if (pid !== undefined) killIfThere(Number(pid));
    }
  }

  /** Resolves when a connection gets through the forward. */
  async talks(): Promise<void> {
    const { jump } = this.lab;
    await waitFor(
      async () => (await jump.exec(["timeout", "10", "bash", "-c", TALK], { user: jump.user })).code === 0,
      { what: "a connection through the forward", withinMs: TALK_WITHIN_MS, everyMs: 500 },
    );
  }

  /** What `farside status` says. */
  async status(): Promise<string> {
    return this.lab.workstation.run(["node", cliPath, "status", "--json"]);
  }

  /** What both hosts' sshd did so far. */
  async penalties(): Promise<{ jump: SshdPenalties; target: SshdPenalties }> {
    const [jump, target] = await Promise.all([this.lab.jump.sshd.log(), this.lab.target.sshd.log()]);
    return { jump: penaltiesIn(jump), target: penaltiesIn(target) };
  }

  /** Behaves so badly, on the way to each host, that a working check must see it. Nothing can be measured afterwards. */
  async misbehave(): Promise<void> {
    const { workstation, jump, target } = this.lab;
    await workstation.exec(["bash", "-c", RUDE, jump.address]);
    await jump.exec(["bash", "-c", RUDE, target.address]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
    await this.lab.close();
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
