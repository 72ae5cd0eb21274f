import type { HopOptions } from "../hop-options.ts";
import { KeyFileIdentity } from "../key-file-identity.ts";
import { PinnedHostKeys } from "../pinned-host-keys.ts";
import type { Sshd } from "./sshd.ts";

/** What connects to a test's sshd with its own key, its host keys pinned. The identity holds nothing that must be closed. */
export async function hopOptionsFor(sshd: Sshd, overrides: Partial<HopOptions> = {}): Promise<HopOptions> {
  return {
    user: sshd.user,
    host: sshd.host,
    port: sshd.port,
    leg: "jump",
    identity: await KeyFileIdentity.open({ files: [sshd.userKey.path] }),
    hostKeys: new PinnedHostKeys(sshd.hostKeys.map(({ publicKey }) => publicKey.blob)),
    ...overrides,
  };
}
