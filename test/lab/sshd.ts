import { readFile } from "node:fs/promises";
import { waitFor } from "../support/wait-for.ts";
import type { Host } from "./host.ts";
import { isSshdListener } from "./host-state.ts";
import { isListening } from "./proc-net.ts";

const LOG = "/var/log/lab-sshd.log";

/** The sshd of a lab host: started once the host has its address, restarted with other options by tests. */
export class LabSshd {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Starts sshd; `lines` come first in its configuration and therefore win, `without` leaves out usual ones, `under` is a
   * command put before it. Resolves once it listens.
   */
  async start(
    lines: readonly string[] = [],
    { without, under = [] }: { without?: RegExp; under?: readonly string[] } = {},
  ): Promise<void> {
    const host = this.#host;
    // As a login by PAM, it has a session of logind's and the user's manager.
    const first = host.hasSystemd ? [...lines, "UsePAM yes"] : lines;
    const usual = baseConfig(host.address).filter((line) => without?.test(line) !== true);
    const config = [...first, ...usual, ""].join("\n");
    await host.writeFile("/etc/ssh/sshd_config", config);
    const sshd = [...under, "/usr/sbin/sshd", "-E", LOG];
    // One that is not among systemd's processes can't give its logins a session.
    const service = ["systemd-run", "--quiet", "--collect", "--property=KillMode=process", ...sshd, "-D"];
    const { code, stderr } = await host.exec(host.hasSystemd ? service : sshd);
    if (code !== 0) throw new Error(`sshd of ${host.name} did not start: ${stderr}`);
    // It listens a moment before it has the name by which it is found.
    await waitFor(async () => (await isListening(host.initPid, 22)) && (await this.pid()) !== undefined, {
      what: `sshd of ${host.name}`,
      detail: () => stderr,
    });
  }

  /** Ends the listening process; logins that are up stay, as on any host. */
  async stop(): Promise<void> {
    const pid = await this.pid();
    if (pid === undefined) return;
    process.kill(pid, "SIGTERM");
    await waitFor(async () => (await this.pid()) === undefined, { what: "the end of sshd" });
  }

  /** The machine's pid of the listening process. */
  async pid(): Promise<number | undefined> {
    const children = await readFile(
      `/proc/${this.#host.initPid}/task/${this.#host.initPid}/children`,
      "utf8",
    );
    for (const child of children.trim().split(" ")) {
      const command = await readFile(`/proc/${child}/cmdline`, "utf8").catch(() => "");
      if (isSshdListener(command.replaceAll("\0", " "))) return Number(child);
    }
    return undefined;
  }

  async log(): Promise<string> {
    return this.#host.readFile(LOG);
  }
}

function baseConfig(address: string): string[] {
  return [
    "Port 22",
    // Not every address: tests put the target's own address on the jump host to stand in for it.
    `ListenAddress ${address}`,
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "HostKey /etc/ssh/ssh_host_ecdsa_key",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PidFile none",
    "LogLevel VERBOSE",
    "MaxStartups 500:30:1000",
    "MaxSessions 100",
    "Subsystem sftp internal-sftp",
  ];
}
