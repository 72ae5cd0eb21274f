/** The part of the way that failed: the card, the jump host, the listener there, a further hop, or the target. */
export type Leg = "card" | "jump" | "bind" | "hop" | "target";

export interface ErrorRow {
  /** Exit code of the command line (sysexits(3), or 128 + n for signals). */
  readonly exit: number;
  /** Whether the same command may succeed later without a change. */
  readonly retry: boolean;
  /** What the code means, in one sentence; docs/errors.md is checked against it. */
  readonly says: string;
}

/** Every expected failure. A failure that is not in this table is a bug and is reported as `internal`. */
export const errorTable = {
  "usage.invalid": { exit: 64, retry: false, says: "The command line is not valid." },
  "config.invalid": { exit: 78, retry: false, says: "A configuration value is not valid or can't be kept." },

  "card.module-not-found": {
    exit: 78,
    retry: false,
    says: "The PKCS#11 module is missing or can't be loaded.",
  },
  "card.no-reader": { exit: 69, retry: true, says: "No card reader was found." },
  "card.no-token": { exit: 69, retry: true, says: "No card, or none with the wanted token, is in a reader." },
  "card.no-key": {
    exit: 78,
    retry: false,
    says: "The token has no key that can log in, or not the wanted one.",
  },
  "card.pin-wrong": { exit: 77, retry: false, says: "The card refused the PIN; one try is gone." },
  "card.pin-locked": { exit: 77, retry: false, says: "The PIN is locked; no try was made." },
  "card.pin-last-try": {
    exit: 77,
    retry: false,
    says: "Only one PIN try is left and nobody said yes to spending it.",
  },
  "card.pin-unavailable": {
    exit: 77,
    retry: false,
    says: "A PIN is needed and there is no way to ask for it.",
  },
  "card.busy": { exit: 69, retry: true, says: "Too many signatures wait for the card already." },
  "card.removed": { exit: 69, retry: true, says: "The card was taken out while it was needed." },
  "card.hung": { exit: 69, retry: true, says: "The PKCS#11 module did not answer in time and was ended." },
  "card.crashed": { exit: 69, retry: true, says: "The PKCS#11 module crashed or exited." },
  "card.failed": { exit: 69, retry: false, says: "The PKCS#11 module reported an error." },

  "identity.none": {
    exit: 77,
    retry: false,
    says: "There is no card, ssh-agent key or key file to log in with.",
  },
  "identity.key-unreadable": { exit: 78, retry: false, says: "A key file can't be read or parsed." },
  "identity.passphrase-wrong": { exit: 77, retry: false, says: "The passphrase does not open the key file." },
  "identity.agent-unavailable": { exit: 69, retry: true, says: "The ssh-agent can't be reached or refused." },

  "host-key.unknown": { exit: 77, retry: false, says: "The host key is not in known_hosts." },
  "host-key.changed": { exit: 77, retry: false, says: "The host key differs from the one in known_hosts." },
  "host-key.revoked": { exit: 77, retry: false, says: "The host key is marked @revoked." },
  "host-key.certificate-invalid": {
    exit: 77,
    retry: false,
    says: "The host certificate is for another host or another time.",
  },
  "host-key.declined": { exit: 77, retry: false, says: "The operator did not accept the host key." },

  "hop.unreachable": { exit: 69, retry: true, says: "The host can't be reached over the network." },
  "hop.handshake-failed": { exit: 76, retry: false, says: "The SSH handshake failed before authentication." },
  "hop.auth-refused": { exit: 77, retry: false, says: "The host refused the login." },
  "hop.no-signature": { exit: 77, retry: false, says: "The host let us in without asking for a signature." },
  "hop.lost": { exit: 69, retry: true, says: "An established SSH connection was lost." },
  "hop.channel-refused": { exit: 69, retry: false, says: "The host refused to open a channel." },
  "hop.needs-signature": {
    exit: 69,
    retry: true,
    says: "A hop needs a signature and no workstation is attached to the agent.",
  },

  "sign.refused": { exit: 77, retry: false, says: "The destination guard refused a signature." },

  "agent.no-runtime": {
    exit: 69,
    retry: false,
    says: "The jump host has no Node.js, and none could be sent.",
  },
  "agent.runtime-too-old": { exit: 69, retry: false, says: "The jump host's Node.js is too old." },
  "agent.unsupported-host": {
    exit: 69,
    retry: false,
    says: "The jump host lacks something the agent needs.",
  },
  "agent.command-refused": {
    exit: 77,
    retry: false,
    says: "The jump host's login does not run commands.",
  },
  "agent.digest-mismatch": {
    exit: 76,
    retry: false,
    says: "What was sent to the jump host arrived altered and was not run.",
  },
  "agent.start-failed": { exit: 69, retry: false, says: "The agent did not start on the jump host." },
  "agent.would-not-survive": {
    exit: 69,
    retry: false,
    says: "The jump host would end the agent together with its login.",
  },
  "agent.not-installed": {
    exit: 69,
    retry: false,
    says: "No agent of that name is installed on the build server.",
  },
  "agent.gone": { exit: 69, retry: true, says: "The agent, or the connection to it, is gone." },

  "engine.no-ssh": {
    exit: 69,
    retry: false,
    says: "The jump host has no ssh(1) for `--engine openssh`.",
  },
  "engine.ssh-too-old": {
    exit: 69,
    retry: false,
    says: "The jump host's ssh(1) can't prove to the card where it logs in to (before OpenSSH 8.9).",
  },
  "engine.forwarding-refused": {
    exit: 77,
    retry: false,
    says: "The jump host's sshd forwards no ssh-agent, which `--engine openssh` needs.",
  },

  "protocol.no-preamble": {
    exit: 76,
    retry: false,
    says: "The jump host's output held no preamble of the agent.",
  },
  "protocol.version": { exit: 76, retry: false, says: "Agent and orchestrator share no protocol version." },
  "protocol.bad-message": {
    exit: 76,
    retry: false,
    says: "The other side sent something that is not the protocol.",
  },

  "forward.bind-refused": { exit: 69, retry: false, says: "The listener could not be opened." },
  "forward.port-in-use": { exit: 69, retry: true, says: "Somebody else holds the port or the socket." },
  "forward.forbidden-by-policy": {
    exit: 77,
    retry: false,
    says: "The jump host's sshd forbids forwarding, and farside was told to respect that.",
  },
  "forward.not-found": { exit: 70, retry: false, says: "There is no such forward." },
  "target.unreachable": { exit: 69, retry: true, says: "The target can't be reached from the last hop." },
  "target.forbidden": { exit: 77, retry: false, says: "The last hop's sshd forbids the forwarding." },

  "command.not-found": { exit: 127, retry: false, says: "The command of `run` was not found." },
  "command.not-runnable": { exit: 126, retry: false, says: "The command of `run` can't be run." },

  "lease.expired": { exit: 69, retry: true, says: "The agent's lease was not renewed in time." },
  "session.not-found": {
    exit: 64,
    retry: false,
    says: "There is no session of that name on this workstation.",
  },
  "session.name-in-use": {
    exit: 64,
    retry: false,
    says: "A live session of this workstation has that name.",
  },
  "session.limit-reached": { exit: 69, retry: false, says: "The session reached its --ttl or --idle limit." },
  "teardown.leftovers": {
    exit: 75,
    retry: true,
    says: "Something is left on a host, or could not be looked at.",
  },
  "audit.broken": { exit: 77, retry: false, says: "The audit log is not as it was written." },
  "output.lost": { exit: 69, retry: false, says: "What was to be printed could not be written." },
  timeout: { exit: 75, retry: true, says: "A deadline passed." },
  canceled: { exit: 130, retry: true, says: "The operator stopped it before it was ready." },
  internal: { exit: 70, retry: false, says: "A bug in farside." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export interface CodedErrorOptions {
  /** One line: what to do about it. */
  readonly hint?: string | undefined;
  readonly leg?: Leg | undefined;
  /** Facts for machines: plain values only, never secrets. */
  readonly data?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly cause?: unknown;
}

/**
 * An expected failure. `message` says what was attempted, on what, and what went wrong, in one line, without the code
 * and without secrets. Recognise it by `code`, not by `instanceof`: two bundles hold two classes.
 */
export class CodedError extends Error {
  override readonly name = "CodedError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly leg: Leg | undefined;
  readonly data: CodedErrorOptions["data"];

  constructor(code: ErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.leg = options.leg;
    this.data = options.data;
  }
}

/** What of an error crosses the wire and the event stream: never a stack, never a cause. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly leg?: Leg | undefined;
  readonly data?: Readonly<Record<string, string | number | boolean>> | undefined;
}

export function isCodedError(error: unknown): error is CodedError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    Object.hasOwn(errorTable, error.code)
  );
}

/** `error` as it is where it is coded; anything else (a bug) becomes `internal` with the original as its cause. */
export function toCodedError(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  if (isCodedError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CodedError("internal", message, { cause: error });
}

/** The form of `error` for the wire. Undefined fields are left out. */
export function toWire(error: unknown): WireError {
  const { code, message, hint, leg, data } = toCodedError(error);
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(leg === undefined ? {} : { leg }),
    ...(data === undefined ? {} : { data }),
  };
}

/** The error that `wire` stands for; a code that this version doesn't know becomes `internal` with the code in `data`. */
export function fromWire(wire: WireError): CodedError {
  if (Object.hasOwn(errorTable, wire.code)) return new CodedError(wire.code as ErrorCode, wire.message, wire);
  return new CodedError("internal", wire.message, {
    ...wire,
    data: { ...wire.data, originalCode: wire.code },
  });
}
