import { CodedError } from "@farside/protocol";

/** What of an errno is the host's to mend: what it says to people, and what to do about it. */
const reasons: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ENOSPC: ["no space left on the device", "Make room there, and try again."],
  EDQUOT: ["the login's disk quota is used up", "Make room there, and try again."],
  EROFS: ["the file system is read-only", "Set XDG_DATA_HOME there to a folder that can be written to."],
  EACCES: ["permission denied", "The login must be allowed to write there."],
  EPERM: ["it is not permitted", "The login must be allowed to write there."],
};

/** `agent.unsupported-host` where the agent's host does not let `path` be written; any other error as it is. */
export function writeFailure(path: string, error: unknown): unknown {
  const [why, hint] = reasons[(error as NodeJS.ErrnoException).code ?? ""] ?? [];
  if (why === undefined) return error;
  return new CodedError("agent.unsupported-host", `writing ${path}: ${why}`, {
    leg: "jump",
    hint,
    cause: error,
  });
}
