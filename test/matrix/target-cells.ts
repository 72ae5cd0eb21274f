import type { Fails, Server, Works } from "./cell.ts";
import { servers } from "./servers.ts";

/** A server as a hop of --via, and what a forward through it does. */
export interface TargetCell {
  readonly id: string;
  readonly name: string;
  readonly server: Server;
  /** Lines that come first in its sshd_config. */
  readonly sshd?: readonly string[];
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

/** Every server as the last hop of a route: what ssh2 can log in to, and what it says where it can't. */
export const targetCells: readonly TargetCell[] = [
  ...[servers.debian12, servers.debian11, servers.debian13, servers.dropbear, servers.asyncssh].map(row),
  { ...postQuantumOnly, expect: { code: "hop.handshake-failed", leg: "hop", says: /key exchange/ } as const },
].map((cell, index) => ({ ...cell, id: `t${String(index + 1).padStart(2, "0")}` }));
