import { type AgentEndReason, type CodedError, errorTable } from "@farside/protocol";

/** Why an agent ends. */
export interface AgentEnd {
  readonly reason: AgentEndReason;
  readonly error?: CodedError | undefined;
  /** Number of the signal, for the reason `signal`. */
  readonly signalNumber?: number | undefined;
}

/** The exit code that sshd passes on to the workstation. */
export function exitCodeOf({ reason, error, signalNumber = 0 }: AgentEnd): number {
  switch (reason) {
    case "stopped":
    case "stdin-ended":
    case "ttl":
    case "idle":
      return 0;
    case "lease-expired":
      return errorTable["lease.expired"].exit;
    case "signal":
      return 128 + signalNumber;
    case "fatal":
      return errorTable[error?.code ?? "internal"].exit;
  }
}
