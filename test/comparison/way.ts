import type { Host } from "../lab/host.ts";
import { JUMP, type Lab, TARGET } from "../lab/lab.ts";
import type { LabProcess } from "../lab/lab-process.ts";
import { waitFor } from "../support/wait-for.ts";

/** One way to reach the signing service from the build server. */
export interface Way {
  readonly name: string;
  /** As an operator would type it; what stands in the table. */
  readonly command: string;
  /** Where it opens the port: the host on which a client can use it. */
  opensOn(lab: Lab): Host;
  /** Starts it on the workstation. The PIN is answered, and counted, by the askpass program. */
  start(lab: Lab, askpass: Askpass): Promise<LabProcess>;
}

/** A program that answers every PIN prompt and writes down that it was asked. */
export class Askpass {
  readonly #lab: Lab;
  readonly #tally = "/root/pin-prompts";

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async install(lab: Lab, pin: string): Promise<Askpass> {
    const askpass = new Askpass(lab);
    const script = `#!/bin/sh\necho "$1" >> ${askpass.#tally}\necho ${pin}\n`;
    await lab.workstation.writeFile("/root/askpass", script);
    await lab.workstation.run(["chmod", "755", "/root/askpass"]);
    await lab.workstation.writeFile(askpass.#tally, "");
    return askpass;
  }

  get environment(): Record<string, string> {
    return {
      SSH_ASKPASS: "/root/askpass",
      SSH_ASKPASS_REQUIRE: "force",
      DISPLAY: ":0",
      ...this.#lab.cardEnvironment,
    };
  }

  /** How often a person would have typed the PIN. */
  async prompts(): Promise<number> {
    const lines = await this.#lab.workstation.readFile(this.#tally);
    return lines.split("\n").filter((line) => line !== "").length;
  }
}

const PROVIDER = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";
const FORWARD = "4444:localhost:4444";

const farside: Way = {
  name: "farside",
  command: "farside forward builder@jump -L 4444:localhost:4444 --via signer@target",
  opensOn: (lab) => lab.jump,
  start: async (lab, askpass) => {
    const { cliPath } = await import("../support/farside.ts");
    const argv = ["forward", `builder@${JUMP}`, "-L", FORWARD, "--via", `signer@${TARGET}`];
    return lab.workstation.spawn(["node", cliPath, ...argv, "--pin-source", "askpass"], {
      env: askpass.environment,
    });
  },
};

const agentForwarding: Way = {
  name: "ssh -A, ssh -N -L on the jump host",
  command: 'ssh-add -s opensc-pkcs11.so; ssh -A builder@jump "ssh -N -L 4444:localhost:4444 signer@target"',
  opensOn: (lab) => lab.jump,
  start: async (lab, askpass) => {
    // The inner ssh must know the target, as an operator's would after the first time.
    const knownHosts = await lab.workstation.readFile(lab.knownHosts);
    await lab.jump.writeFile("/home/builder/.ssh/known_hosts", knownHosts, { user: "builder" });
    const socket = "/run/ssh-agent.sock";
    const env = { ...askpass.environment, SSH_AUTH_SOCK: socket };
    const agent = lab.workstation.spawn(["ssh-agent", "-D", "-a", socket, "-P", "/usr/lib/*"], { env });
    await waitFor(async () => (await lab.workstation.exec(["test", "-S", socket])).code === 0, {
      what: "ssh-agent",
      detail: () => agent.stderr,
    });
    await lab.workstation.run(["ssh-add", "-s", PROVIDER], { env });
    const inner = `ssh -N -L ${FORWARD} signer@${TARGET}`;
    return lab.workstation.spawn(["ssh", "-A", `builder@${JUMP}`, inner], { env });
  },
};

const proxyJump: Way = {
  name: "ssh -J",
  command: "ssh -J builder@jump -N -L 4444:localhost:4444 signer@target (PKCS11Provider in ssh_config)",
  opensOn: (lab) => lab.workstation,
  start: async (lab, askpass) => {
    await lab.workstation.writeFile("/root/.ssh/config", `Host *\n  PKCS11Provider ${PROVIDER}\n`);
    const argv = ["-J", `builder@${JUMP}`, "-N", "-L", FORWARD, `signer@${TARGET}`];
    return lab.workstation.spawn(["ssh", ...argv], { env: askpass.environment });
  },
};

export const ways: readonly Way[] = [farside, agentForwarding, proxyJump];
