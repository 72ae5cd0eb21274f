import type { CodedError } from "@farside/protocol/errors";
import { checkCommand, isCommand } from "./check-command.ts";
import { checkOptions } from "./check-options.ts";
import { unpacked } from "./options/values.ts";
import { usageError } from "./usage-error.ts";

/** Options that take no value: `--json=no` would be read as `--json` left out. */
const FLAGS =
  /^--(here|tty|json|pin-pad|allow-any-user|respect-sshd-policy|take-over|keep-runtime|reattach|detach|all|watch|dry-run|once|follow|help|version)=/;

/** What `forward` has and `run` can't have: why, and what does it instead. */
const NOT_FOR_RUN: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  detach: [
    "run has no --detach: the command's stdin and output are farside's own, and end with it",
    "Leave the forward alone running: farside forward --detach --ttl TIME; then start the command on the jump host.",
  ],
  reattach: [
    "run has no --reattach: the command's stdin and output need their connection, and it ends with it",
    "Use farside forward --reattach, and start the command on the jump host so that it outlives a login (tmux, systemd-run --user).",
  ],
  json: [
    "run has no --json: stdout is the command's",
    "--events fd:N has the same lines, one JSON object each: --events fd:3 3>events.jsonl",
  ],
};

/** Refuses what yargs would take without a word, or misunderstand: commands that there aren't, a value for a flag, arguments behind `--`, options that there aren't. */
export function checkWords(words: readonly string[]): void {
  // The shell asks for completions, with what was typed so far.
  if (words[0] === "--get-yargs-completions") return;
  checkCommand(words);
  for (const word of words) {
    if (word === "--") throw usageError("-- and what follows it has no meaning here", hintFor(words));
    const flag = FLAGS.exec(word)?.[1];
    if (flag !== undefined) throw usageError(`--${flag} takes no value`, hintFor(words));
  }
  const foreign =
    words[0] === "run" ? words.map(notForRun).find((reason) => reason !== undefined) : undefined;
  if (foreign !== undefined) throw usageError(...foreign);
  checkOptions(words, hintFor(words));
}

/** What yargs says about `words`, in farside's words: the option as it was typed, and what to do. */
export function explainMistake(said: string, words: readonly string[]): CodedError {
  const { message, hint = hintFor(words) } = unpacked(said);
  const lines = message.split("\n").map((line) => line.trim());
  const text = lines.filter((line) => line !== "").join(": ");
  const [, unknown] = /^Unknown (?:argument|command)s?: (.*)$/.exec(text) ?? [];
  if (unknown !== undefined) {
    const names = unknown.split(", ");
    const isOfRun = words[0] === "run" && !names[0]?.startsWith("-");
    return usageError(
      names.map((name) => unknownWord(name, words)).join(", "),
      isOfRun ? "Put the command behind --: farside run JUMP -L … -- make sign" : hint,
    );
  }
  const [, bare] = /^Not enough arguments following: (.*)$/.exec(text) ?? [];
  if (bare !== undefined) return usageError(`${dashed(bare, words)} needs a value`, hint);
  const [, missing] = /^Missing required arguments?: (.*)$/.exec(text) ?? [];
  if (missing !== undefined) {
    const names = missing.split(", ").map((name) => dashed(name, words));
    return usageError(`${names.join(", ")} is missing`, hint);
  }
  if (text.startsWith("Not enough non-option arguments")) {
    const host = words[0] === "agent" ? "the build server" : "the jump host";
    return usageError(`${host} is missing`, hint);
  }
  return usageError(text, hint);
}

function notForRun(word: string): readonly [message: string, hint: string] | undefined {
  const name = /^--([a-z]+)(?:=|$)/.exec(word)?.[1] ?? "";
  return Object.hasOwn(NOT_FOR_RUN, name) ? NOT_FOR_RUN[name] : undefined;
}

function hintFor(words: readonly string[]): string {
  const command = isCommand(words[0] ?? "") ? ` ${commandOf(words)}` : "";
  return `farside${command} --help shows what there is.`;
}

function unknownWord(name: string, words: readonly string[]): string {
  const option = typedOption(name, words);
  if (option !== undefined) return `unknown option ${option}`;
  return words[0] === name ? `unknown command ${name}` : `unexpected argument ${JSON.stringify(name)}`;
}

function typedOption(name: string, words: readonly string[]): string | undefined {
  const long = `--${name}`;
  if (words.some((word) => word === long || word.startsWith(`${long}=`))) return long;
  const isShort = name.length === 1 && words.some((word) => /^-[^-]/.test(word) && word.includes(name));
  return isShort ? `-${name}` : undefined;
}

function dashed(name: string, words: readonly string[]): string {
  return typedOption(name, words) ?? (name.length === 1 ? `-${name}` : `--${name}`);
}

/** As far as its help is one of its own. */
function commandOf(words: readonly string[]): string {
  const [first = "", second = "-"] = words;
  return first === "agent" && !second.startsWith("-") ? `${first} ${second}` : first;
}
