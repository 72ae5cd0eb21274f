import type { Fails, Server, Works } from "./cell.ts";
import { servers } from "./servers.ts";

/** A server as a hop of --via, and what a forward through it does. */
export interface TargetCell {
  readonly id: string;
  readonly name: string;
  readonly server: Server;
  /** Lines that come first in its sshd_config. */
  readonly sshd?: readonly string[];
  /** The jump host's; OpenSSH 9.2 where left out. */
  readonly jump?: Server;
  /** Lines that come first in the jump host's sshd_config. */
  readonly jumpSshd?: readonly string[];
  /** Added to farside's command line. */
  readonly args?: readonly string[];
  readonly expect: Works | Fails;
}

const works: Works = {};
const postQuantumOnly = {
  name: "OpenSSH 10.0 (Debian 13), post-quantum key exchanges only",
  server: servers.debian13,
  sshd: ["KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com"],
};
const row = (server: Server): Omit<TargetCell, "id"> => ({ name: server.name, server, expect: works });

/** The jump host's own ssh instead of the agent. */
const engine = { args: ["--engine", "openssh"] };
const byEngine = (server: Server): Omit<TargetCell, "id"> => ({
  ...{ ...row(server), ...engine },
  name: `${server.name}, --engine openssh`,
});
const engineRows: readonly Omit<TargetCell, "id">[] = [
  ...[servers.debian11, servers.debian13, servers.dropbear, servers.asyncssh].map(byEngine),
  {
    ...{ ...postQuantumOnly, ...engine, jump: servers.debian13, expect: works },
    name: `${postQuantumOnly.name}, --engine openssh on OpenSSH 10.0`,
  },
  {
    ...{ ...byEngine(servers.debian12), jump: servers.backports13 },
    name: "OpenSSH 9.2 (Debian 12), --engine openssh on OpenSSH 10.3",
  },
  {
    ...{ ...byEngine(servers.debian12), jump: servers.debian11 },
    name: "OpenSSH 9.2 (Debian 12), --engine openssh on OpenSSH 8.4",
    expect: { code: "engine.ssh-too-old", leg: "jump", says: /8\.4/ },
  },
  {
    ...{ ...byEngine(servers.debian12), jumpSshd: ["AllowAgentForwarding no"] },
    name: "OpenSSH 9.2 (Debian 12), --engine openssh, AllowAgentForwarding no on the jump host",
    expect: { code: "engine.forwarding-refused", leg: "jump", says: /AllowAgentForwarding/ },
  },
];

/** Every server as the last hop of a route: what ssh2 can log in to, and what it says where it can't. */
export const targetCells: readonly TargetCell[] = [
  ...[servers.debian12, servers.debian11, servers.debian13, servers.dropbear, servers.asyncssh].map(row),
  {
    ...postQuantumOnly,
    expect: { code: "hop.handshake-failed", leg: "hop", says: /--engine openssh/ } as const,
  },
  ...engineRows,
].map((cell, index) => ({ ...cell, id: `t${String(index + 1).padStart(2, "0")}` }));
