import { CodedError, type ErrorCode, harmless, isCodedError } from "@farside/protocol";
import { fingerprint } from "./fingerprint.ts";
import type { KexTap, ServerOffer } from "./kex-tap.ts";

/** What an errno says to people. */
const socketReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to its network",
  EHOSTDOWN: "the host is down",
  EADDRNOTAVAIL: "the address can't be reached from here",
  EACCES: "this machine does not allow the connection",
  EPERM: "this machine does not allow the connection",
  ENOTFOUND: "the name is not known",
  EAI_AGAIN: "the name service does not answer",
  ECONNRESET: "the host reset the connection",
  EPIPE: "the host closed the connection",
};

const unreachableHints: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Is sshd running on that host and port?",
  ETIMEDOUT: "A firewall may drop the packets; check the address and the port.",
  ENOTFOUND: "Check the spelling, or HostName in ssh_config.",
  EAI_AGAIN: "Check this machine's network and resolver.",
};

interface WithCode {
  readonly code?: unknown;
  readonly level?: unknown;
  readonly reason?: unknown;
  readonly errors?: readonly unknown[];
}

function errnoOf(error: unknown): string | undefined {
  const { code, errors } = error as WithCode;
  if (typeof code === "string") return code;
  return errors?.[0] === undefined ? undefined : errnoOf(errors[0]);
}

function textOf(error: unknown): string {
  return harmless(error instanceof Error ? error.message : String(error), 200);
}

/** Why a socket failed, in words for people. */
export function socketReason(error: unknown): string {
  return socketReasons[errnoOf(error) ?? ""] ?? textOf(error);
}

/** `hop.unreachable` for a host that could not be dialled. Errors that have a code of ours pass through. */
export function unreachable(error: unknown, where: string, leg: "jump" | "hop"): CodedError {
  return new CodedError("hop.unreachable", `connecting to ${where}: ${socketReason(error)}`, {
    hint: unreachableHints[errnoOf(error) ?? ""] ?? "Is the host up, and does a firewall let this one in?",
    leg,
    cause: error,
  });
}

/** A failure of the way to a hop: to the hop before it that is a failed target, to us it is a hop. */
export function asHopFailure(error: CodedError, where: string, leg: "jump" | "hop"): CodedError {
  if (error.leg !== "target" && error.leg !== undefined) return error;
  const { hint, data } = error;
  const code = error.code === "target.unreachable" ? "hop.unreachable" : error.code;
  return new CodedError(code, `connecting to ${where}: ${error.message}`, { hint, data, leg, cause: error });
}

function quoted(text = ""): string {
  return text === "" ? "" : ` ("${harmless(text, 200)}")`;
}

/** How far a connection had come when it failed. */
export type Phase = "identification" | "key exchange" | "login" | "connected";

/** ssh2's negotiation failures and the list of the server's offer that each is about. */
const negotiations: readonly (readonly [RegExp, string, keyof ServerOffer])[] = [
  [/no matching key exchange/iu, "key exchange", "kex"],
  [/no matching host key/iu, "host key type", "hostKey"],
  [/no matching .*cipher/iu, "cipher", "cipher"],
  [/no matching .*mac/iu, "MAC", "mac"],
];

function isPostQuantum(name: string): boolean {
  return /mlkem|sntrup/iu.test(name);
}

/** Extension markers in the list of key exchanges. */
function isMarker(name: string): boolean {
  return /^(?:ext-info-|kex-strict-)/u.test(name);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function negotiationFailure(
  error: unknown,
  where: string,
  leg: "jump" | "hop",
  offer: ServerOffer | undefined,
) {
  const row = negotiations.find(([pattern]) => pattern.test(textOf(error)));
  if (row === undefined) return undefined;
  const [, what, list] = row;
  const names = (offer?.[list] ?? []).filter((name) => !isMarker(name));
  const isPostQuantumOnly = list === "kex" && names.length > 0 && names.every(isPostQuantum);
  // The jump host's own ssh speaks what this one does not.
  const instead = list === "kex" && leg === "hop" ? "use --engine openssh, or " : "";
  return new CodedError(
    "hop.handshake-failed",
    `connecting to ${where}: no common ${what}; the host offers ${harmless(names.join(", "), 400) || "none"}`,
    {
      hint: isPostQuantumOnly
        ? `The host allows post-quantum key exchange only; ${instead}add curve25519-sha256 to KexAlgorithms in its sshd_config.`
        : capital(`${instead}allow a modern ${what} in the host's sshd_config.`),
      leg,
      data: { offered: names.join(",").slice(0, 1000) },
      cause: error,
    },
  );
}

/** The coded error for an ssh2 or socket failure (undefined: the host just closed) of a connection that had come as far as `phase`. */
export function connectionFailure(
  error: unknown,
  phase: Phase,
  where: string,
  leg: "jump" | "hop",
  tap?: Pick<KexTap, "offer" | "greeting">,
): CodedError {
  // What a ProxyCommand or the hop before said is known already.
  if (isCodedError(error) && phase !== "connected") return asHopFailure(error, where, leg);
  const isKeepalive = textOf(error) === "Keepalive timeout";
  const reason = isKeepalive
    ? "the host stopped answering"
    : error === undefined || /before handshake/u.test(textOf(error))
      ? "the host closed the connection"
      : socketReason(error);
  switch (phase) {
    case "identification":
      return new CodedError(
        "hop.unreachable",
        `connecting to ${where}: ${reason} before it identified itself${quoted(tap?.greeting)}`,
        {
          hint: "Is it an SSH server, and does it take more connections (MaxStartups, PerSourcePenalties)?",
          leg,
          data: { answered: true },
          cause: error,
        },
      );
    case "key exchange":
      return (
        negotiationFailure(error, where, leg, tap?.offer) ??
        new CodedError("hop.handshake-failed", `connecting to ${where}: ${reason} in the key exchange`, {
          leg,
          cause: error,
        })
      );
    case "login":
      return new CodedError("hop.lost", `logging in to ${where}: ${reason}`, { leg, cause: error });
    case "connected":
      return new CodedError("hop.lost", `the connection to ${where} was lost: ${reason}`, {
        leg,
        cause: error,
      });
  }
}

/** RFC 4254, 5.1: why a channel was not opened, for a dial. Whatever is not in here is about the hop. */
const dialRefusals: Readonly<Record<number, { code: ErrorCode; says: string; hint: string }>> = {
  1: {
    code: "target.forbidden",
    says: "the host's sshd forbids the forwarding",
    hint: "See AllowTcpForwarding, AllowStreamLocalForwarding, PermitOpen and DisableForwarding in its sshd_config.",
  },
  2: {
    code: "target.unreachable",
    says: "the host could not connect to it",
    // sshd answers so too where AllowStreamLocalForwarding forbids a unix socket.
    hint: "Does the service listen there, is the name right as seen from that host, and does its sshd allow it?",
  },
};

/** The error for a dial of `target` that the host at `where` refused. */
export function dialFailure(error: unknown, target: string, where: string): CodedError {
  const { reason } = error as WithCode;
  const detail = textOf(error).replace(/^\(SSH\) Channel open failure: /u, "");
  const row = typeof reason === "number" ? dialRefusals[reason] : undefined;
  return new CodedError(
    row?.code ?? "hop.channel-refused",
    `dialling ${target} from ${where}: ${row?.says ?? "the host opened no channel"}${detail === "" ? "" : ` (${detail})`}`,
    { hint: row?.hint, leg: "target", cause: error },
  );
}

/** The error for a command that the host at `where` did not start. */
export function execFailure(error: unknown, where: string, leg: "jump" | "hop"): CodedError {
  if (/agent forwarding/iu.test(textOf(error))) {
    return new CodedError(
      "engine.forwarding-refused",
      `forwarding an ssh-agent to ${where}: the host refused it`,
      {
        hint: "See AllowAgentForwarding and DisableForwarding in the host's sshd_config, and no-agent-forwarding and restrict in the login's authorized_keys.",
        leg,
        cause: error,
      },
    );
  }
  return new CodedError("hop.channel-refused", `running a command on ${where}: ${textOf(error)}`, {
    hint: "See MaxSessions and ForceCommand in the host's sshd_config, and the login's authorized_keys.",
    leg,
    cause: error,
  });
}

/** The error for a host that shows another key when keys are exchanged anew. */
export function changedMidway(shown: Buffer, where: string, leg: "jump" | "hop"): CodedError {
  return new CodedError(
    "host-key.changed",
    `the connection to ${where} was ended: in a later key exchange the host showed another key, ${fingerprint(shown)}`,
    { leg, data: { fingerprint: fingerprint(shown) } },
  );
}

/** A verifier's error with what it does not know: for which leg it worked, and with what the host can sign, in `data.offered`. */
export function hostKeyFailure(
  error: unknown,
  leg: "jump" | "hop",
  offer: Pick<ServerOffer, "hostKey"> | undefined,
): unknown {
  if (!(error instanceof CodedError) || error.leg !== undefined) return error;
  const { code, message, hint, data } = error;
  const offered = harmless((offer?.hostKey ?? []).join(","), 1000);
  return new CodedError(code, message, { hint, leg, data: { ...data, offered }, cause: error });
}
