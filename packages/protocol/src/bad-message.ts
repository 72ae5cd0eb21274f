import { CodedError, type CodedErrorOptions } from "./errors.ts";

/** The failure `protocol.bad-message`: the other side sent something that is not the protocol. `what` must be harmless. */
export function badMessage(what: string, options: CodedErrorOptions = {}): CodedError {
  return new CodedError("protocol.bad-message", `the other side broke the protocol: ${what}`, {
    hint: "Use the same farside version on both ends; if it is the same, something else writes to the agent's stdout.",
    ...options,
  });
}
