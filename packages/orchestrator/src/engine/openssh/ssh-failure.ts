import { CodedError, type ErrorCode, harmless, type Leg } from "@farside/protocol";
import { formatHop } from "../../delegated-signing.ts";
import { hostKeyAlias, type SshHop } from "./ssh-command.ts";

export interface SshFailureOptions {
  /** What ssh printed last; hostile. */
  readonly stderr: string;
  readonly route: readonly SshHop[];
  /** `user@host` of the jump host. */
  readonly host: string;
  /** Undefined where nobody knows how it ended. */
  readonly status: number | undefined;
  /** Every listener was open. */
  readonly wasListening: boolean;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly leg: Leg;
  /** What went wrong, in our words or ssh's. */
  readonly says: string;
  readonly hint?: string;
  /** What was attempted where it is not the login to a hop. */
  readonly attempt?: string;
}
type Rule = readonly [pattern: RegExp, meaning: (match: RegExpExecArray, hop: SshHop) => Meaning];

const SHOWN = 300;

const CHANGED: Meaning = {
  ...{ code: "host-key.changed", leg: "hop" },
  says: "its host key is not one that was declared for it",
  hint: "If the host was set up anew, check the fingerprint with its administrator and update known_hosts.",
};

/** ssh's messages, the telling ones first: what follows from them stands in the same output. */
const RULES: readonly Rule[] = [
  [
    /Bad configuration option: (\S+)/i,
    ([, option = ""]) => ({
      code: "engine.ssh-too-old",
      leg: "jump",
      says: `its ssh does not know ${option}`,
    }),
  ],
  [
    /no matching ([\w ]+?) found\. Their offer: (\S*)/i,
    ([, what = "", offer = ""]) => ({
      ...{ code: "hop.handshake-failed", leg: "hop" },
      says: `no common ${what.replace(" method", "")}; the host offers ${offer}`,
      hint: "The jump host's ssh is too old for that host, or its settings are.",
    }),
  ],
  [
    /(?:is marked as revoked|REVOKED HOST KEY DETECTED)/i,
    () => ({
      ...{ code: "host-key.revoked", leg: "hop" },
      says: "its host key, or the authority that certified it, is marked @revoked",
      hint: "Don't connect; ask the host's administrator for its new key.",
    }),
  ],
  [
    // One that is not valid does no harm where the key itself is known.
    /Certificate invalid: ([^\r\n]+).*Host key verification failed/is,
    ([, why = ""]) => ({
      ...{ code: "host-key.certificate-invalid", leg: "hop" },
      says: `its host certificate is not valid: ${why}`,
      hint: "Ask the host's administrator for a certificate for this name and this time, or add the host's own key to known_hosts.",
    }),
  ],
  [
    /host key is known for \S+ and you have requested strict/i,
    (_, { hostKeys, pins, authorities }) =>
      authorities === undefined || hostKeys.length + pins.length > 0
        ? CHANGED
        : {
            ...{ code: "host-key.unknown", leg: "hop" },
            says: "it shows no certificate of an authority that known_hosts has for it, and its own key is not known",
            hint: "Compare the fingerprint with the host's administrator, then add the key or its authority to known_hosts, or give --via-host-key HOST=SHA256:….",
          },
  ],
  [
    /(?:has changed and you have requested|REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed)/i,
    () => CHANGED,
  ],
  [
    /(?:Permission denied \(([^)]*)\)|Too many authentication failures)/i,
    ([, methods]) => ({
      ...{ code: "hop.auth-refused", leg: "hop" },
      says: methods === undefined ? "too many attempts" : `the key was refused; it takes ${methods}`,
      hint: "Is the key in its authorized_keys? --engine openssh offers one key only; choose it with --key or --identity.",
    }),
  ],
  [
    /(?:stdio forwarding failed|open failed: (?:administratively prohibited|connect failed|unknown channel type): ?(.*))/i,
    ([, why = "the hop before it did not connect"]) => ({
      ...{ code: "hop.unreachable", leg: "hop" },
      says: why.trim() || "it was refused",
    }),
  ],
  [
    /connect to host \S+ port \d+: (.*)/i,
    ([, why = ""]) => ({ code: "hop.unreachable", leg: "hop", says: reason(why) }),
  ],
  [
    /Could not resolve hostname \S+: (.*)/i,
    ([, why = ""]) => ({ code: "hop.unreachable", leg: "hop", says: reason(why) }),
  ],
  [/timed out/i, () => ({ code: "hop.unreachable", leg: "hop", says: "the connection timed out" })],
  [
    /Address already in use/i,
    () => ({
      ...{
        code: "forward.port-in-use",
        leg: "bind",
        attempt: "opening the listeners",
        says: "somebody else holds one",
      },
      hint: "Another port, or 0 for a free one, will do.",
    }),
  ],
  [
    /(?:(?:bind|listen)(?: \[[^\]]*\])?:? ?[^\n]*: ([^\n:]+)\n|Privileged ports can only be|cannot listen to|Could not request local forwarding|unix_listener)/i,
    ([, why = "it was refused"]) => ({
      code: "forward.bind-refused",
      leg: "bind",
      attempt: "opening the listeners",
      says: why,
    }),
  ],
  [
    /(?:kex_exchange_identification|banner exchange|Connection (?:closed|reset) by|Connection to \S+ closed)(.*)/i,
    () => ({ code: "hop.handshake-failed", leg: "hop", says: "the host closed the connection" }),
  ],
];

/** Why the jump host's ssh ended, as farside's error with its leg: by what it printed, which another version may word otherwise. */
export function sshFailure({ stderr, route, host, status, wasListening }: SshFailureOptions): CodedError {
  const hop = hopIn(stderr, route);
  const name = hop === undefined ? "the hop" : formatHop(hop);
  const printed = lastLines(stderr);
  if (wasListening) {
    return new CodedError("hop.lost", `the connection from ${host} to ${name} was lost${printed}`, {
      leg: "hop",
      hint: "With --engine openssh, a hop that is lost is not dialled again: start anew.",
    });
  }
  for (const [pattern, meaning] of RULES) {
    const match = pattern.exec(stderr);
    if (match === null || hop === undefined) continue;
    const { code, leg, says, hint, attempt = `logging in to ${name}` } = meaning(match, hop);
    return new CodedError(code, `${attempt} with the ssh of ${host}: ${harmless(says, SHOWN)}`, {
      leg,
      hint,
    });
  }
  const how = status === undefined ? "it was ended" : `it exited with ${status}`;
  return new CodedError(
    "hop.handshake-failed",
    `logging in to ${name} with the ssh of ${host}: ${how}${printed}`,
    {
      leg: "hop",
    },
  );
}

/** The hop that the text speaks of: by the name of its key, by its user and address; else the last. */
function hopIn(text: string, route: readonly SshHop[]): SshHop | undefined {
  const named = (name: (hop: SshHop) => string) => route.find((hop) => text.includes(name(hop)));
  return (
    named((hop) => `${hostKeyAlias(hop)} `) ??
    named(({ user, host }) => `${user}@${host}: `) ??
    named(({ host, port }) => `connect to host ${host} port ${port}:`) ??
    named(({ host }) => `hostname ${host}:`) ??
    named(({ host, port }) => `${host} port ${port}`) ??
    route.at(-1)
  );
}

/** What strerror and getaddrinfo say, as farside says it elsewhere. */
function reason(text: string): string {
  const known: Readonly<Record<string, string>> = {
    "connection refused": "the connection was refused",
    "connection timed out": "the connection timed out",
    "no route to host": "there is no route to the host",
    "network is unreachable": "there is no route to its network",
    "name or service not known": "the name is not known",
  };
  return known[text.trim().toLowerCase()] ?? text.trim();
}

function lastLines(stderr: string): string {
  const lines = stderr.trim().split(/\r?\n/).slice(-2).join("; ").trim();
  return lines === "" ? "" : `; it printed: ${harmless(lines.slice(-SHOWN), SHOWN)}`;
}
