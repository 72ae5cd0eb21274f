import type { AlgorithmLimits } from "./algorithms.ts";

/** What ssh_config says about one host, as far as farside keeps it. */
export interface HostConfig {
  /** The name that was asked for. */
  readonly alias: string;
  readonly user: string;
  readonly hostName: string;
  readonly port: number;
  readonly hostKeyAlias: string | undefined;
  /** Hops before this host, `[user@]host[:port]` each, nearest first. */
  readonly proxyJump: readonly string[];
  /** A shell command whose stdio is the connection, with %h, %p, %r, %n and %% filled in. */
  readonly proxyCommand: string | undefined;
  /** Absolute paths; those of ssh's defaults where none is set, so they may not exist. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** A socket's path, "none", or undefined for SSH_AUTH_SOCK. */
  readonly identityAgent: string | undefined;
  readonly pkcs11Provider: string | undefined;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  /** `off` accepts any key: farside does not do that, its caller says so. */
  readonly strictHostKeyChecking: "strict" | "ask" | "accept-new" | "off";
  readonly hashKnownHosts: boolean;
  readonly batchMode: boolean;
  readonly addressFamily: 4 | 6 | undefined;
  readonly bindAddress: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly serverAliveIntervalMs: number | undefined;
  readonly serverAliveCountMax: number | undefined;
  /** Only these algorithms may be used. */
  readonly algorithms: AlgorithmLimits;
  /** Options that are set and can't be kept, by name: each deserves a warning. */
  readonly unsupported: readonly string[];
}
