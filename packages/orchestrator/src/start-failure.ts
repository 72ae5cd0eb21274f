import { CodedError, type ErrorCode, harmless, wireError } from "@farside/protocol";
import type { ExecStream } from "@farside/ssh";
import * as v from "valibot";
import { MIN_AGENT_NODE } from "./bootstrap.ts";

/** What is left where there can be no Node.js. */
export const NO_NODE_NEEDED = "; with --via, --engine openssh needs none";
/** Of what a failed start printed, how much an error shows. */
export const SHOWN_OUTPUT = 400;

/** What a launcher may say of the host. */
const LAUNCH_FAILURES: readonly ErrorCode[] = [
  "agent.would-not-survive",
  "agent.unsupported-host",
  "session.name-in-use",
];

const SEND_ONE = "let farside send one (--runtime auto; with --reattach and --detach also --keep-runtime)";

/** Where an agent could not be started, for its error. */
export interface StartPlace {
  /** `user@host`. */
  readonly host: string;
  /** What the operator chose, if anything. */
  readonly remoteNode: string | undefined;
  /** What was printed to stderr, as far as it is kept. */
  readonly stderr: ExecStream["stderr"];
}

/** The host's own words for an error: stderr, else what stood on stdout; harmless, empty where it was silent. */
function printedText({ stderr }: Pick<StartPlace, "stderr">, noise: string): string {
  const text = stderr.text().trim() || noise.trim();
  return text === "" ? "" : `; it printed: ${shown(text)}`;
}

/** What a program says last is mostly why it failed. */
function shown(text: string): string {
  if (text.length <= SHOWN_OUTPUT) return harmless(text, SHOWN_OUTPUT);
  const half = SHOWN_OUTPUT / 2;
  return `${harmless(text.slice(0, half), half)} … ${harmless(text.slice(-half), half)}`;
}

export function exitText(code: number | null, killedBy: string | null): string {
  if (code !== null) return `exited with ${code}`;
  return killedBy === null ? "was closed" : `was ended by ${harmless(killedBy, 20)}`;
}

/** The command ran, but what it started did not become an agent. `noise` is what stood on stdout. */
export function startFailed(place: StartPlace, what: string, noise = "", hint?: string): CodedError {
  return new CodedError(
    "agent.start-failed",
    `starting the agent on ${place.host}: ${what}${printedText(place, noise)}`,
    {
      leg: "jump",
      hint:
        hint ??
        "Does Node.js run there (limits, memory, libraries)? Another one can be named with --remote-node PATH.",
    },
  );
}

/** The login ended without running the command at all: `how` it ended. */
export function commandRefused(place: StartPlace, how: string, noise: string): CodedError {
  return new CodedError(
    "agent.command-refused",
    `starting the agent on ${place.host}: the login did not run the command but ${how}${printedText(place, noise)}`,
    {
      leg: "jump",
      hint: "Is there a ForceCommand, a command= in authorized_keys, a restricted or nologin shell, or an rc file that exits? The account must be able to run commands.",
    },
  );
}

/** The same login runs a command as soon as its stdin is at its end: something reads the stdin that is ours. */
export function stdinEaten({ host }: Pick<StartPlace, "host">): CodedError {
  return new CodedError(
    "agent.start-failed",
    `starting the agent on ${host}: an rc file of the login reads its standard input to the end and never comes to the command`,
    {
      leg: "jump",
      hint: "Let the rc file read only on a terminal, e.g. behind [ -t 0 ]; ~/.bashrc, ~/.zshenv, config.fish, ~/.tcshrc and ~/.ssh/rc run for every command.",
    },
  );
}

/** The command ended well, and no agent has answered. */
export function noPreamble({ host, stderr }: StartPlace, noise: string): CodedError {
  const printed = noise.trim() || stderr.text().trim();
  const hint =
    printed === ""
      ? "The login printed nothing: is the account allowed to run commands?"
      : `The login printed: ${harmless(printed, SHOWN_OUTPUT)}`;
  return new CodedError(
    "protocol.no-preamble",
    `starting the agent on ${host}: the command ended without a word of the agent`,
    { leg: "jump", hint },
  );
}

/** The error that a preamble other than `agent` stands for. `status` is harmless but hostile. */
export function refusal(status: string, place: StartPlace): CodedError {
  const at = status.indexOf(":");
  const [kind, detail] = at < 0 ? [status, ""] : [status.slice(0, at), status.slice(at + 1)];
  const { host, remoteNode } = place;
  switch (kind) {
    case "no-node": {
      const chosen =
        remoteNode === undefined ? "no Node.js was found there" : `no Node.js is at ${remoteNode}`;
      const broken = detail === "" ? "" : `; found, but does not run: ${list(detail)}`;
      return new CodedError("agent.no-runtime", `starting the agent on ${host}: ${chosen}${broken}`, {
        leg: "jump",
        hint: `Install Node.js ${MIN_AGENT_NODE} or newer on it, say where it is with --remote-node PATH, or ${SEND_ONE}${NO_NODE_NEEDED}.`,
      });
    }
    case "node-too-old":
      return new CodedError(
        "agent.runtime-too-old",
        `starting the agent on ${host}: it needs Node.js ${MIN_AGENT_NODE} or newer, found was ${list(detail)}`,
        {
          leg: "jump",
          hint: `Install a newer Node.js on it, say where one is with --remote-node PATH, or ${SEND_ONE}${NO_NODE_NEEDED}.`,
        },
      );
    case "digest-mismatch":
      return new CodedError(
        "agent.digest-mismatch",
        `starting the agent on ${host}: its bundle arrived altered and was not run`,
        { leg: "jump", hint: "Something between here and there changes the data: do not trust that host." },
      );
    case "no-agent":
      return new CodedError(
        "agent.gone",
        `reaching the agent on ${host}: it is no longer there (${detail})`,
        {
          leg: "jump",
        },
      );
    case "launch-failed":
      return launchFailed(place, detail);
    case "loader-failed":
      return startFailed(place, `its loader failed: ${detail}`);
    default:
      return startFailed(place, `it said ${harmless(status, 80)}`);
  }
}

/** What a launcher failed with: an error of its own table, or nothing that can be believed. */
function launchFailed(place: StartPlace, detail: string): CodedError {
  const parsed = v.safeParse(wireError, parseJson(detail));
  if (!parsed.success) return startFailed(place, `its launcher failed: ${harmless(detail, SHOWN_OUTPUT)}`);
  const { code, message, hint } = parsed.output;
  const text = `starting the agent on ${place.host}: ${harmless(message, SHOWN_OUTPUT)}`;
  const known = LAUNCH_FAILURES.find((each) => each === code);
  const options = { leg: "jump" as const, hint: hint && harmless(hint, SHOWN_OUTPUT) };
  return new CodedError(known ?? "agent.start-failed", text, options);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `16.20.2=/usr/bin/node,…` or `/usr/bin/node,…` for people. */
function list(entries: string): string {
  const shown = [...new Set(entries.split(","))].slice(0, 5).map((entry) => {
    const at = entry.indexOf("=");
    return at < 0 ? entry : `${entry.slice(0, at)} (${entry.slice(at + 1)})`;
  });
  return harmless(shown.join(", "), SHOWN_OUTPUT);
}
