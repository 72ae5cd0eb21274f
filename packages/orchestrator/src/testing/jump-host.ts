import { mkdir, writeFile } from "node:fs/promises";
import type { SessionEvent } from "@farside/protocol";
import { type Sshd, type SshdOptions, startSshd } from "@farside/ssh/testing";
import type { ForwardOptions } from "../forward-options.ts";

/** A real sshd on loopback as the jump host, with all that a session needs to log in there and nothing of this user's. */
export interface JumpHost extends AsyncDisposable {
  readonly sshd: Sshd;
  /** Options of a session there; its events are collected. */
  options(more?: Partial<ForwardOptions>): ForwardOptions & { readonly events: SessionEvent[] };
  /** Adds a host to known_hosts. */
  know(sshd: Sshd, hostKey?: { readonly line: string }): Promise<void>;
}

export async function startJumpHost(
  bundle: ForwardOptions["bundle"],
  options: SshdOptions = {},
): Promise<JumpHost> {
  const sshd = await startSshd(options);
  const { folder } = sshd;
  const knownHosts = folder.file("known_hosts");
  const lines: string[] = [];
  const know: JumpHost["know"] = async ({ port, hostKeys }, hostKey = hostKeys[0]) => {
    const [type, key] = (hostKey?.line ?? "").split(" ");
    lines.push(`[127.0.0.1]:${port} ${type} ${key}\n`);
    await writeFile(knownHosts, lines.join(""));
  };
  await know(sshd);
  await writeFile(
    folder.file("ssh_config"),
    `UserKnownHostsFile ${knownHosts}\nGlobalKnownHostsFile /dev/null\n`,
  );
  await mkdir(folder.file("state"));
  return {
    sshd,
    know,
    options(more = {}) {
      const events: SessionEvent[] = [];
      return {
        jump: `${sshd.user}@127.0.0.1:${sshd.port}`,
        forwards: "0:127.0.0.1:9",
        identity: sshd.userKey.path,
        configFile: folder.file("ssh_config"),
        stateFolder: folder.file("state"),
        bundle,
        remoteNode: process.execPath,
        ...more,
        events,
        onEvent: (event) => {
          events.push(event);
          more.onEvent?.(event);
        },
      };
    },
    [Symbol.asyncDispose]: () => sshd[Symbol.asyncDispose](),
  };
}
