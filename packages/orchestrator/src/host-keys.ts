import { CodedError } from "@farside/protocol";
import {
  type HostConfig,
  type HostKeyPlace,
  type HostKeyQuestion,
  isFingerprint,
  KnownHosts,
} from "@farside/ssh";

export type HostKeyCheck = "strict" | "ask" | "accept-new";

/** Asks the operator about an unknown host key. `reportedBy`: the jump host that says so, for a hop of --via. */
export type AskHostKey = (
  question: HostKeyQuestion & { readonly reportedBy?: string | undefined },
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<boolean>;

export interface HostKeyOptions {
  /** `--known-hosts`: instead of UserKnownHostsFile. */
  readonly knownHostsFiles?: readonly string[] | undefined;
  /** `--host-key-check`: instead of StrictHostKeyChecking. */
  readonly check?: HostKeyCheck | undefined;
  /** Asks the operator; without it `ask` is `strict`. */
  readonly ask?: AskHostKey | undefined;
  readonly onWarning: (text: string) => void;
}

/** known_hosts as `config` and the options want it checked. */
export function loadKnownHosts(config: HostConfig, options: HostKeyOptions): Promise<KnownHosts> {
  return KnownHosts.load({
    files: options.knownHostsFiles ?? config.userKnownHostsFiles,
    globalFiles: config.globalKnownHostsFiles,
    check: checkOf(config, options),
    hash: config.hashKnownHosts,
    onWarning: options.onWarning,
    ...(options.ask && { ask: options.ask }),
  });
}

/** How unknown keys of a host are treated. */
export function checkOf(config: HostConfig, { check, onWarning }: HostKeyOptions): HostKeyCheck {
  if (check !== undefined) return check;
  if (config.strictHostKeyChecking !== "off") return config.strictHostKeyChecking;
  onWarning(
    `StrictHostKeyChecking no is not kept for ${config.alias}: new keys are accepted, changed ones refused`,
  );
  return "accept-new";
}

/** Where a host's keys are looked up. */
export function placeOf({ hostKeyAlias, hostName, port }: HostConfig): HostKeyPlace {
  // As ssh: an alias stands for itself, whatever the port.
  return hostKeyAlias === undefined ? { host: hostName, port } : { host: hostKeyAlias, port: 22 };
}

/** `HOST=SHA256:…` of `--via-host-key`: fingerprints by host as written. Throws `usage.invalid`. */
export function parsePinnedKeys(texts: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const pinned = new Map<string, string[]>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const [host, fingerprint] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || !isFingerprint(fingerprint)) {
      throw new CodedError("usage.invalid", `cannot read --via-host-key ${JSON.stringify(text)}`, {
        hint: "Write HOST=SHA256:… with the fingerprint that `ssh-keygen -lf` prints; HOST is the one of --via.",
      });
    }
    pinned.set(host, [...(pinned.get(host) ?? []), fingerprint]);
  }
  return pinned;
}
