import { CodedError } from "@farside/protocol/errors";

/** The error for a server that breaks the protocol: the connection can't be trusted any more and is closed. */
export function violation(what: string, cause?: unknown): CodedError {
  return new CodedError("protocol.bad-message", `the SSH server broke the protocol: ${what}`, {
    leg: "hop",
    cause,
  });
}
