import type { Options } from "yargs";
import { closestWord } from "./closest-word.ts";
import { agentSubcommandOptions } from "./commands/agent.ts";
import { auditOptions } from "./commands/audit.ts";
import { cardOptions } from "./commands/card.ts";
import { doctorOptions } from "./commands/doctor.ts";
import { allForwardOptions } from "./commands/forward.ts";
import { allRunOptions } from "./commands/run.ts";
import { statusOptions } from "./commands/status.ts";
import { teardownOptions } from "./commands/teardown.ts";
import { usageError } from "./usage-error.ts";

type OptionTable = Readonly<Record<string, Options>>;

const everywhere: OptionTable = {
  help: { type: "boolean", alias: "h" },
  version: { type: "boolean", alias: "V" },
};

/** ssh(1)'s options that fingers type by themselves, and what farside has for them. */
const OF_SSH: Readonly<Record<string, string>> = {
  A: "No agent is forwarded: the identity here signs, for the declared hops only. Leave it out.",
  D: "There is no dynamic forward: name each target with -L.",
  f: "--detach --ttl TIME leaves the forward running without farside.",
  g: "Write the address to listen on before the port: -L ADDRESS:PORT:HOST:HOSTPORT.",
  I: "Write --pkcs11-provider PATH.",
  i: "Write --identity FILE.",
  l: "Write USER@HOST.",
  M: "farside has a connection of its own and shares none. Leave it out.",
  N: "Leave it out: farside forward runs no command.",
  n: "Leave it out, and redirect the input where that is wanted: </dev/null.",
  q: "Write --log-level error.",
  R: "-L listens on JUMP already, as ssh -R does; its target is dialled from there, or from the last hop of --via.",
  S: "farside has a connection of its own and shares none. Leave it out.",
  T: "Leave it out: there is no terminal but with farside run --tty.",
  v: "Write --log-level debug.",
};

/** What `words`, a whole command line, may hold; undefined where its command is not known. */
function optionsOf(words: readonly string[]): OptionTable | undefined {
  const [command, subcommand = ""] = words.filter((word) => !word.startsWith("-"));
  switch (command) {
    case undefined:
    case "completion":
      return {};
    case "forward":
    case "deploy-and-forward":
      return allForwardOptions;
    case "run":
      return allRunOptions;
    case "teardown":
      return teardownOptions;
    case "status":
      return statusOptions;
    case "doctor":
      return doctorOptions;
    case "card":
      return cardOptions;
    case "audit":
      return auditOptions;
    case "agent":
      return agentSubcommandOptions(subcommand);
    default:
      return undefined;
  }
}

/**
 * Throws `usage.invalid` where there are options that the command of `words` does not have, and says which were meant. Said before
 * anything else: yargs would take the word behind one for something of its own, and miss that elsewhere.
 */
export function checkOptions(words: readonly string[], hint: string): void {
  const options = optionsOf(words);
  if (options === undefined || words.some((word) => word === "--help" || word === "-h")) return;
  const known = new Map<string, Options>();
  for (const [name, option] of Object.entries({ ...options, ...everywhere })) {
    known.set(name, option);
    if (typeof option.alias === "string") known.set(option.alias, option);
  }
  const unknown = unknownOptions(words, known);
  if (unknown.length === 0) return;
  const hints = new Set(unknown.flatMap((option) => hintTo(option, [...known.keys()]) ?? []));
  const message = unknown.map((option) => `unknown option ${option}`).join(", ");
  throw usageError(message, hints.size === 0 ? hint : [...hints].join(" "));
}

function unknownOptions(words: readonly string[], known: ReadonlyMap<string, Options>): string[] {
  const unknown: string[] = [];
  let isValue = false;
  for (const word of words) {
    const isOption = /^-[^\d]/.test(word);
    const takesWord = !isOption && isValue;
    isValue = false;
    if (!isOption || takesWord) continue;
    const long = /^--([^=]+)/.exec(word)?.[1];
    if (long !== undefined) {
      const option = known.get(long);
      if (option === undefined) unknown.push(`--${long}`);
      else isValue = option.type === "string" && !word.includes("=");
      continue;
    }
    const letters = word.slice(1).split("=", 1)[0] ?? "";
    if (letters.length > 1 && closestWord(letters, longOf([...known.keys()])) !== undefined) {
      unknown.push(`-${letters}`);
      continue;
    }
    for (const [index, letter] of [...letters].entries()) {
      const option = known.get(letter);
      if (option === undefined) unknown.push(`-${letter}`);
      else if (option.type === "string") {
        isValue = index === letters.length - 1 && !word.includes("=");
        break;
      }
    }
  }
  return [...new Set(unknown)];
}

function hintTo(option: string, known: readonly string[]): string | undefined {
  const name = option.replace(/^--?/, "");
  if (name.length > 1) {
    const meant = closestWord(name, longOf(known));
    return meant === undefined ? undefined : `Did you mean --${meant}?`;
  }
  const ofSsh = Object.hasOwn(OF_SSH, name) ? OF_SSH[name] : undefined;
  if (ofSsh !== undefined) return ofSsh;
  const other = known.find((each) => each !== name && each.toLowerCase() === name.toLowerCase());
  return other === undefined ? undefined : `Did you mean -${other}?`;
}

const longOf = (names: readonly string[]): readonly string[] => names.filter((name) => name.length > 1);
