import { CodedError, isCodedError } from "@farside/protocol";

/** What an errno of a connect says to people, and what to do about it. */
const reasons: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ECONNREFUSED: [
    "the connection was refused",
    "Is the service running there, and listening on that address?",
  ],
  ETIMEDOUT: ["it did not answer in time", "A firewall may drop the packets."],
  EHOSTUNREACH: ["there is no route to the host", "Check the address as seen from the jump host."],
  ENETUNREACH: ["there is no route to its network", "Check the address as seen from the jump host."],
  ENOTFOUND: ["the jump host does not know the name", "The name is resolved on the jump host."],
  EAI_AGAIN: ["the jump host's name service does not answer", "Give an address instead of the name."],
  ENOENT: ["there is no such socket", "Is the service running there?"],
  ENOTSOCK: ["it is not a socket", "Check the path."],
  EACCES: ["permission denied", "The login's user must be allowed to write to the socket."],
  EMFILE: [
    "the agent has too many open files",
    "Raise the limit of open files on the jump host, or use --max-relays.",
  ],
};

/** `target.unreachable` for a dial from the agent's host; coded errors pass through. */
export function targetFailure(error: unknown, label: string): CodedError {
  if (isCodedError(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const [why, hint] = reasons[code ?? ""] ?? [code ?? message, undefined];
  return new CodedError("target.unreachable", `connecting to ${label} from the jump host: ${why}`, {
    leg: "target",
    hint,
    cause: error,
  });
}
