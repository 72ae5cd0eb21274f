import type { CodedError, ErrorCode, Leg } from "@farside/protocol";

/** What is looked at, in this order. */
export const checkNames = [
  /** ssh_config and the options. */
  "config",
  /** What logs in. */
  "identity",
  /** A host that this workstation dials: reachable, its host key known, the key welcome. */
  "login",
  /** What the login shell prints for a command. */
  "shell",
  /** The Node.js that the agent runs on. */
  "node",
  /** With `--engine openssh`: the jump host's own ssh. */
  "ssh",
  /** With `--engine openssh`: whether the card can be lent to it. */
  "ssh-agent",
  /** What the jump host's sshd allows. */
  "sshd",
  /** What the jump host lets processes of the login do. */
  "limits",
  /** A listener of `-L`. */
  "listen",
  /** A hop of `--via`. */
  "hop",
  /** A target of `-L`. */
  "target",
  /** What the look left. */
  "left",
] as const;
export type CheckName = (typeof checkNames)[number];
/** What is looked at with one engine only. */
export const checksOfEngine: Readonly<Record<"ssh2" | "openssh", readonly CheckName[]>> = {
  ssh2: ["node", "limits"],
  openssh: ["ssh", "ssh-agent"],
};

/** One line of a diagnosis. Texts hold what others sent: they are not yet harmless. */
export interface Check {
  readonly check: CheckName;
  /** `warning`: a session works, but there is something to know. `skipped`: something before it failed. */
  readonly outcome: "ok" | "warning" | "failed" | "skipped";
  readonly text: string;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** Of what failed. */
  readonly code?: ErrorCode | undefined;
  readonly leg?: Leg | undefined;
}

export function failedCheck(check: CheckName, { code, message, hint, leg }: CodedError): Check {
  return { check, outcome: "failed", text: message, hint, code, leg };
}
