import type { Options } from "yargs";
import { usageError } from "../usage-error.ts";
import { parseDuration } from "./duration.ts";
import { parsePinOrigin } from "./pin-source.ts";
import { asText, descriptor, once, oneOf, repeated, sessionName, wholeNumber } from "./values.ts";

/** `KEY=VALUE` or `KEY VALUE`, as ssh's -o takes it. */
function sshOption(text: string, option: string): readonly [key: string, value: string] {
  const match = /^\s*([A-Za-z0-9]+)\s*(?:=|\s)\s*(.*\S)\s*$/s.exec(text);
  if (match?.[1] !== undefined && match[2] !== undefined && !/\p{Cc}/u.test(text))
    return [match[1], match[2]];
  throw usageErrorOf(option, text, "KEY=VALUE", "Example: -o ConnectTimeout=5");
}

function userName(text: string, option: string): string {
  if (/^[^\s:/\p{Cc}]{1,255}$/u.test(text) && !text.startsWith("-")) return text;
  throw usageErrorOf(option, text, "a user name");
}

const duration =
  (minMs: number) =>
  (text: string, option: string): number =>
    parseDuration(text, option, minMs);

const value = { type: "string", requiresArg: true } as const;

export const identityOptions = {
  identity: {
    ...value,
    group: "Identity:",
    describe: "What logs in: card, agent (ssh-agent), a key file, or pkcs11:URI",
    coerce: once("--identity", asText),
  },
  "pkcs11-provider": {
    ...value,
    group: "Identity:",
    describe: "PKCS#11 module of the card",
    coerce: once("--pkcs11-provider", asText),
  },
  token: {
    ...value,
    group: "Identity:",
    describe: "Label of the token to use",
    coerce: once("--token", asText),
  },
  key: {
    ...value,
    group: "Identity:",
    describe: "Key to use, by its ID (hex) or label",
    coerce: once("--key", asText),
  },
  "pin-source": {
    ...value,
    group: "Identity:",
    describe: "Where the PIN comes from: tty, askpass, env:NAME, fd:N or file:PATH",
    coerce: once("--pin-source", parsePinOrigin),
  },
  "pin-pad": {
    type: "boolean",
    group: "Identity:",
    describe: "The PIN is typed on the reader, not here (modules other than OpenSC)",
  },
} as const satisfies Record<string, Options>;

export const cardOptions = {
  "on-card-removal": {
    ...value,
    group: "Identity:",
    describe:
      "While the card is out, what is open goes on; a new hop fails (keep, the default) or waits for it (wait); close ends the session",
    coerce: once("--on-card-removal", oneOf(["keep", "wait", "close"])),
  },
} as const satisfies Record<string, Options>;

export const sshOptions = {
  F: { ...value, group: "SSH:", describe: "ssh_config file to use", coerce: once("-F", asText) },
  o: {
    ...value,
    group: "SSH:",
    describe: "ssh_config option, KEY=VALUE; repeatable",
    coerce: repeated("-o", sshOption),
  },
  p: {
    ...value,
    group: "SSH:",
    describe: "Port of the jump host",
    coerce: once("-p", wholeNumber(1, 65_535)),
  },
  J: {
    ...value,
    group: "SSH:",
    describe: "Hops on the way to the jump host, [user@]host[:port],…",
    coerce: once("-J", asText),
  },
  "known-hosts": {
    ...value,
    group: "SSH:",
    describe: "known_hosts file to use instead of ssh's",
    coerce: once("--known-hosts", asText),
  },
  "host-key-check": {
    ...value,
    group: "SSH:",
    describe:
      "Unknown host keys: strict, ask or accept-new (default: as ssh_config says; strict without a terminal)",
    coerce: once("--host-key-check", oneOf(["strict", "ask", "accept-new"])),
  },
} as const satisfies Record<string, Options>;

export const forwardOptions = {
  L: {
    ...value,
    group: "Forward:",
    demandOption: true,
    describe:
      "Listener on JUMP and its target: [bind_address:]port:host:hostport, or paths of sockets; repeatable",
    coerce: repeated("-L", asText),
  },
  via: {
    ...value,
    group: "Forward:",
    describe:
      "SSH hops from JUMP to the target, [user@]host[:port],…; each is signed for by the identity here",
    coerce: once("--via", asText),
  },
  "via-host-key": {
    ...value,
    group: "Forward:",
    describe: "Host key of a hop of --via that is not in known_hosts, HOST=SHA256:…; repeatable",
    coerce: repeated("--via-host-key", asText),
  },
  "max-relays": {
    ...value,
    group: "Forward:",
    describe: "Connections at a time for each forward; more have to wait",
    coerce: once("--max-relays", wholeNumber(1, 1_000_000)),
  },
  probe: {
    ...value,
    group: "Forward:",
    describe: "Dial each target this often, without a byte, and say when it can't be reached",
    coerce: once("--probe", duration(1000)),
  },
  connections: {
    ...value,
    group: "Forward:",
    describe:
      "SSH connections to the last hop of --via that many relays are spread over, each signed for (default: 4)",
    coerce: once("--connections", wholeNumber(1, 16)),
  },
  "allow-user": {
    ...value,
    group: "Forward:",
    describe: "User of JUMP who may connect too, besides the login's own and root; repeatable",
    coerce: repeated("--allow-user", userName),
  },
  "allow-any-user": {
    type: "boolean",
    group: "Forward:",
    describe: "Every user of JUMP may connect",
  },
} as const satisfies Record<string, Options>;

export const sessionOptions = {
  name: {
    ...value,
    group: "Session:",
    describe: "Name of the session (default: a generated one)",
    coerce: once("--name", sessionName),
  },
  lease: {
    ...value,
    group: "Session:",
    describe: "How long the agent goes on without hearing from here (default: 15s)",
    coerce: once("--lease", duration(1000)),
  },
  grace: {
    ...value,
    group: "Session:",
    describe: "How long open connections may go on after SIGINT, SIGTERM or teardown (default: 10s)",
    coerce: once("--grace", duration(0)),
  },
  ttl: {
    ...value,
    group: "Session:",
    describe: "End the session this long after its start",
    coerce: once("--ttl", duration(1000)),
  },
  idle: {
    ...value,
    group: "Session:",
    describe: "End the session after this long without a connection",
    coerce: once("--idle", duration(1000)),
  },
  "start-timeout": {
    ...value,
    group: "Session:",
    describe: "Give up when it is not ready by then; time spent at prompts does not count (default: 30s)",
    coerce: once("--start-timeout", duration(1000)),
  },
  "take-over": {
    type: "boolean",
    group: "Session:",
    describe: "Take a port over from another live session of the same user, too",
  },
  engine: {
    ...value,
    group: "Session:",
    describe:
      "What forwards on JUMP: ssh2, farside's agent (needs Node.js there), or openssh, its own ssh (needs --via; default: ssh2)",
    coerce: once("--engine", oneOf(["ssh2", "openssh"])),
  },
  "remote-node": {
    ...value,
    group: "Session:",
    describe: "Path of node on JUMP",
    coerce: once("--remote-node", asText),
  },
  runtime: {
    ...value,
    group: "Session:",
    describe:
      "Where JUMP has no Node.js that fits: auto (send one, after asking at a terminal), upload (always), never",
    coerce: once("--runtime", oneOf(["auto", "upload", "never"])),
  },
  "keep-runtime": {
    type: "boolean",
    group: "Session:",
    describe: "Leave a Node.js that was sent on JUMP, for the next time",
  },
  "runtime-file": {
    ...value,
    group: "Session:",
    describe: "The node program to send (default: one that npm fetches; or FARSIDE_RUNTIME_FILE)",
    coerce: once("--runtime-file", asText),
  },
  "respect-sshd-policy": {
    type: "boolean",
    group: "Session:",
    describe: "Fail where the sshd of JUMP forbids this login to forward (AllowTcpForwarding, PermitOpen …)",
  },
} as const satisfies Record<string, Options>;

export const jsonOption = {
  json: {
    type: "boolean",
    group: "Output:",
    describe: "Answer as JSON on stdout, one object a line",
  },
} as const satisfies Record<string, Options>;

export const logOption = {
  "log-level": {
    ...value,
    group: "Output:",
    describe: "What goes to stderr: error, warn, info or debug (default: info)",
    coerce: once("--log-level", oneOf(["error", "warn", "info", "debug"])),
  },
} as const satisfies Record<string, Options>;

export const eventOptions = {
  ...jsonOption,
  events: {
    ...value,
    group: "Output:",
    describe: "Write the events as JSON lines to descriptor N, fd:N",
    coerce: once("--events", descriptor),
  },
  "ready-file": {
    ...value,
    group: "Output:",
    describe:
      "JSON file to write, with the session and its forwards, once every listener is open; removed at the end",
    coerce: once("--ready-file", asText),
  },
  ...logOption,
} as const satisfies Record<string, Options>;

function usageErrorOf(option: string, text: string, wanted: string, hint?: string): Error {
  return usageError(`${option}: ${JSON.stringify(text)} is not ${wanted}`, hint);
}
