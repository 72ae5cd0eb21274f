import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resolveProviderPath } from "@farside/smartcard";
import { compileFaultModule } from "@farside/smartcard/testing";
import { type Lab, startLab } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { LoginClock, movedClock } from "../lab/login-clock.ts";
import { startByteService } from "../support/byte-traffic.ts";
import { cliPath, type FarsideRun, mainJob, runFarside } from "../support/farside.ts";

export const LEASE_S = 3;
const GRACE_S = 3;
export const START_TIMEOUT_S = 12;
/** A file system of its own, so that it can be full. */
const STATE = "/root/state";

/** A lab for cycles of start, fault and end: a service behind the target, and a card behind a module that fails on demand. */
export class FaultLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly port: number;
  readonly #service: LabProcess;
  readonly #module: string;
  readonly #moduleEnvironment: Readonly<Record<string, string>>;
  #loginClock: LoginClock | undefined;

  private constructor(lab: Lab, port: number, service: LabProcess, module: string) {
    this.lab = lab;
    this.port = port;
    this.#service = service;
    this.#module = module;
    this.#moduleEnvironment = {
      P11_REAL: resolveProviderPath(undefined),
      P11_FAULT: join(lab.shared, "fault"),
    };
  }

  static async start(port = 4444): Promise<FaultLab> {
    const lab = await startLab();
    try {
      const module = join(lab.shared, "fault-module.so");
      const [service] = await Promise.all([
        startByteService(lab.target, "4444", 1),
        compileFaultModule(module),
      ]);
      const made = new FaultLab(lab, port, service, module);
      await made.failModule("");
      await lab.workstation.run(["mkdir", STATE]);
      await lab.workstation.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "state", STATE]);
      return made;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** What the card's module does from its next call on; see fault-module.c. */
  async failModule(how: string): Promise<void> {
    await writeFile(join(this.lab.shared, "fault"), how);
  }

  /** What the workstation's state is kept on has no room any more. */
  async fillDisk(): Promise<void> {
    await this.lab.workstation.exec(["dd", "if=/dev/zero", `of=${STATE}/filler`, "bs=64k"]);
  }
  async emptyDisk(): Promise<void> {
    await this.lab.workstation.run(["rm", "-f", `${STATE}/filler`]);
  }

  /** Moves the clock of a farside that was started with `movesClock`; `+1d`, `-1d`, `+0`. */
  async setClock(offset: string): Promise<void> {
    await writeFile(this.#clock, `${offset}\n`);
  }

  /** Gives the logins on the jump host a clock that `setJumpClock` moves, until what it returns is disposed of. */
  async startJumpClock(): Promise<AsyncDisposable> {
    this.#loginClock = await LoginClock.start(this.lab.jump);
    return this.#loginClock;
  }
  async setJumpClock(offset: string): Promise<void> {
    if (this.#loginClock === undefined) throw new Error("the jump host has no clock of its own");
    await this.#loginClock.set(offset);
  }

  get #clock(): string {
    return join(this.lab.shared, "clock");
  }

  /** The main job, with short times; the PIN may be given three times. */
  async startFarside(
    name: string,
    { movesClock = false, under = [] }: { movesClock?: boolean | undefined; under?: readonly string[] } = {},
  ): Promise<FarsideRun> {
    const { lab, port } = this;
    if (movesClock) await this.setClock("+0");
    const args = [
      ...mainJob(port),
      ...[
        "--name",
        name,
        "--pkcs11-provider",
        this.#module,
        "--lease",
        `${LEASE_S}s`,
        "--grace",
        `${GRACE_S}s`,
      ],
      ...["--start-timeout", `${START_TIMEOUT_S}s`],
    ];
    return runFarside(lab, args, {
      under,
      pin: [lab.pin, lab.pin, lab.pin].join("\n"),
      env: {
        ...{ ...this.#moduleEnvironment, XDG_STATE_HOME: STATE },
        ...(movesClock && movedClock(this.#clock)),
      },
    });
  }

  /** `farside teardown --all`, as an operator does after a crash: its exit status. */
  async teardownAll(): Promise<{ code: number | null; said: string }> {
    const { lab } = this;
    const argv = ["node", cliPath, "teardown", "--all", "--pin-source", "fd:3"];
    const { code, stdout, stderr } = await lab.workstation.exec(argv, {
      env: { ...lab.cardEnvironment, XDG_STATE_HOME: STATE, ...this.#moduleEnvironment },
      descriptors: [`${lab.pin}\n`],
    });
    return { code, said: stdout + stderr };
  }

  /** Names in the state folder: sessions that are not over. */
  async sessionsLeft(): Promise<string[]> {
    const names = await this.lab.workstation.run(["sh", "-c", `ls ${STATE}/farside 2> /dev/null || :`]);
    return names.split("\n").filter((name) => name !== "" && !name.startsWith("audit"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service.kill();
    await this.lab.close();
  }
}
