import type { Server } from "./cell.ts";

/** What answers on port 22 of the jump host, and the Debian that it is from. */
export const servers = {
  debian12: { name: "OpenSSH 9.2 (Debian 12)", program: "openssh" },
  debian13: { name: "OpenSSH 10.0 (Debian 13)", program: "openssh", release: "trixie" },
  /** The first that puts sockets of forwarded agents into ~/.ssh/agent is 10.1. */
  backports13: {
    name: "OpenSSH 10.3 (Debian 13 backports)",
    program: "openssh",
    release: "trixie-backports",
  },
  debian11: { name: "OpenSSH 8.4 (Debian 11)", program: "openssh", release: "bullseye" },
  arm64: { name: "OpenSSH 9.2 (Debian 12, arm64 by qemu)", program: "openssh", emulates: "arm64" },
  asyncssh: { name: "AsyncSSH 2.10", program: "asyncssh" },
  dropbear: { name: "Dropbear 2022.83", program: "dropbear" },
} as const satisfies Record<string, Server>;
