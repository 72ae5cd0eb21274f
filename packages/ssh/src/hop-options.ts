import type { Duplex } from "node:stream";
import type { AlgorithmLimits } from "./algorithms.ts";
import type { HostKeyVerifier } from "./host-key.ts";
import type { Identity } from "./identity.ts";

/** What a host asks. Whoever shows it says whose question it is: it may look like one of farside's own. */
export interface KeyboardPrompts {
  /** `user@host`, with the port where it is not 22. */
  readonly from: string;
  readonly name: string;
  readonly instructions: string;
  readonly prompts: readonly { readonly text: string; readonly echo: boolean }[];
}

export interface HopOptions {
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** The leg that failures of this connection are reported for. */
  readonly leg: "jump" | "hop";
  /** The name that the host key is looked up by; default `host`. */
  readonly hostKeyAlias?: string | undefined;
  /** Borrowed: the hop never closes it. Not asked for anything before the host key was accepted. */
  readonly identity: Identity;
  readonly hostKeys: HostKeyVerifier;
  /** How the host is reached; the hop owns what it resolves to. Default: TCP from this machine. */
  readonly dial?: ((signal: AbortSignal) => Promise<Duplex>) | undefined;
  /** Waited for once the host is reached, before a word is said to it; what it rejects with ends the attempt. */
  readonly onDialled?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Take a data path for relays where it can be had (`Hop.dataPath`); default: no, everything goes through ssh2. */
  readonly dataPath?: boolean | undefined;
  /** For TCP from this machine only (AddressFamily, BindAddress). */
  readonly addressFamily?: 4 | 6 | undefined;
  readonly bindAddress?: string | undefined;
  /** What ssh_config allows of our algorithms. */
  readonly algorithms?: AlgorithmLimits | undefined;
  /** Refuse (`hop.no-signature`) a server that lets us in before `identity` made a signature for this connection. */
  readonly requireSignature?: boolean | undefined;
  /** Answers the questions that follow the key (a one-time password). All texts are printable already. */
  readonly keyboardInteractive?:
    | ((prompts: KeyboardPrompts, options: { signal: AbortSignal }) => Promise<readonly string[]>)
    | undefined;
  /** For `dial`, in ms; default 10 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** For the host's identification, key exchange and each of its answers, in ms; default 20 000. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Longest wait for the identity or the operator, in ms; default 600 000. */
  readonly authenticationTimeoutMs?: number | undefined;
  /** Default 5 000 ms, three unanswered ones: a dead host is noticed within 20 s. */
  readonly keepaliveIntervalMs?: number | undefined;
  readonly keepaliveCountMax?: number | undefined;
  /** What the server shows before the login: printable text, at most 8 KiB in all. */
  readonly onBanner?: ((text: string) => void) | undefined;
  /** Ends the attempt to connect; has no effect on a connected hop. */
  readonly signal?: AbortSignal | undefined;
}
