import { CodedError } from "@farside/protocol/errors";

/** A mistake on the command line: `usage.invalid`, exit 64. `message` names the argument and what is wrong with it. */
export function usageError(message: string, hint?: string): CodedError {
  return new CodedError("usage.invalid", message, { hint });
}
