import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Host } from "@farside/test/lab/host";
import { type Lab, startLab, TARGET } from "@farside/test/lab/lab";
import type { LabProcess } from "@farside/test/lab/lab-process";
import { waitFor } from "@farside/test/support/wait-for";
import { readProgram } from "./native.ts";
import { FIRST_PORT, makeNetworkOrdinary } from "./ordinary-network.ts";

export const SERVICE_PORT = 5000;
export const PROGRAMS = "/opt/bench";
/** Descriptors for 5,000 connections and their other halves. */
const DESCRIPTORS = "20000";

/** The lab of a benchmark: a workstation, a jump host with clients and forwarders, a target with the service. */
export class BenchLab implements AsyncDisposable {
  readonly lab: Lab;
  /** On the workstation: a key that every host takes, for suites whose subject is not the card. */
  readonly workstationKey = "/root/.ssh/bench_key";
  /** On the jump host: the same for the forwarders that have to be there with a key of their own. */
  readonly jumpKey = "/home/builder/.ssh/bench_key";
  readonly #service: LabProcess;
  #lastPort = FIRST_PORT - 1;

  static async start(): Promise<BenchLab> {
    await promisify(execFile)("prlimit", ["--pid", String(process.pid), `--nofile=${DESCRIPTORS}`]);
    const lab = await startLab();
    try {
      await Promise.all([lab.workstation, lab.jump, lab.target].map(makeNetworkOrdinary));
      await Promise.all([
        install(lab.target, "service"),
        install(lab.jump, "load"),
        makeKey(lab, lab.workstation, "root", "/root"),
        makeKey(lab, lab.jump, "builder", "/home/builder"),
      ]);
      const knownHosts = await lab.workstation.readFile(lab.knownHosts);
      await lab.jump.writeFile("/home/builder/.ssh/known_hosts", knownHosts, { user: "builder" });
      const argv = [`${PROGRAMS}/service`, String(SERVICE_PORT)];
      const service = lab.target.spawn(argv, { user: "signer" });
      await waitFor(() => service.stdout !== "", { what: "the service", detail: () => service.stderr });
      return new BenchLab(lab, service);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private constructor(lab: Lab, service: LabProcess) {
    this.lab = lab;
    this.#service = service;
  }

  get jump(): Host {
    return this.lab.jump;
  }

  /** The service as the jump host reaches it. */
  get service(): string {
    return `${TARGET}:${SERVICE_PORT}`;
  }

  /** A port of the jump host that nothing has used yet. */
  nextPort(): number {
    this.#lastPort += 1;
    return this.#lastPort;
  }

  async close(): Promise<void> {
    await this.#service.kill();
    await this.lab.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function install(host: Host, name: "load" | "service"): Promise<void> {
  await host.writeFile(`${PROGRAMS}/${name}`, await readProgram(name));
  await host.run(["chmod", "755", `${PROGRAMS}/${name}`]);
}

async function makeKey(lab: Lab, host: Host, user: string, home: string): Promise<void> {
  const path = `${home}/.ssh/bench_key`;
  await host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", path], { user });
  await lab.authorize((await host.readFile(`${path}.pub`)).trim());
}
