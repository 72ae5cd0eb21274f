import type { Options } from "yargs";
import { closestWord } from "./closest-word.ts";
import { agentOptions, agentSubcommandOptions } from "./commands/agent.ts";
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

/** What farside has for an option of ssh(1); `by`: only where the command has that option. */
interface Instead {
  readonly hint: string;
  readonly by?: string;
}

/** ssh(1)'s options that fingers type by themselves. */
const OF_SSH: Readonly<Record<string, Instead>> = {
  A: { hint: "No agent is forwarded: the identity here signs, for the declared hops only. Leave it out." },
  D: { hint: "There is no dynamic forward: name each target with -L.", by: "L" },
  f: { hint: "--detach --ttl TIME leaves the forward running without farside.", by: "detach" },
  g: { hint: "Write the address to listen on before the port: -L ADDRESS:PORT:HOST:HOSTPORT.", by: "L" },
  I: { hint: "Write --pkcs11-provider PATH.", by: "pkcs11-provider" },
  i: { hint: "Write --identity FILE.", by: "identity" },
  l: { hint: "Write USER@HOST." },
  M: { hint: "farside has a connection of its own and shares none. Leave it out." },
  N: { hint: "Leave it out: farside forward runs no command." },
  n: { hint: "Leave it out, and redirect the input where that is wanted: </dev/null." },
  q: { hint: "Write --log-level error.", by: "log-level" },
  R: {
    hint: "-L listens on JUMP already, as ssh -R does; its target is dialled from there, or from the last hop of --via.",
    by: "L",
  },
  S: { hint: "farside has a connection of its own and shares none. Leave it out." },
  T: { hint: "Leave it out: there is no terminal but with farside run --tty." },
  v: { hint: "Write --log-level debug.", by: "log-level" },
};

const everyOption: OptionTable = {
  ...agentOptions,
  ...allForwardOptions,
  ...allRunOptions,
  ...teardownOptions,
  ...statusOptions,
  ...doctorOptions,
  ...cardOptions,
  ...auditOptions,
};

/** What `words`, a whole command line, may hold; undefined where its command is not known. */
function optionsOf([command = "", subcommand = ""]: readonly string[]): OptionTable | undefined {
  // Which word is the command then, only yargs finds out.
  if (command.startsWith("-")) return everyOption;
  switch (command) {
    case "":
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
  const unknown = words.filter((word) => /^-[^\d]/.test(word)).flatMap((word) => unknownIn(word, known));
  return [...new Set(unknown)];
}

/** Of one word: a long option, or a group of letters, which is one that lacks a dash where that explains a letter that there isn't. */
function unknownIn(word: string, known: ReadonlyMap<string, Options>): string[] {
  const long = /^--([^=]+)/.exec(word)?.[1];
  if (long !== undefined) return known.has(long) ? [] : [`--${long}`];
  const letters = word.slice(1).split("=", 1)[0] ?? "";
  const unknown: string[] = [];
  for (const letter of letters) {
    const option = known.get(letter);
    if (option === undefined) unknown.push(`-${letter}`);
    // What follows is its value.
    else if (option.type === "string") break;
  }
  const isLong = letters.length > 1 && closestWord(letters, longOf([...known.keys()])) !== undefined;
  return unknown.length > 0 && isLong ? [`-${letters}`] : unknown;
}

function hintTo(option: string, known: readonly string[]): string | undefined {
  const name = option.replace(/^--?/, "");
  if (name.length > 1) {
    const meant = closestWord(name, longOf(known));
    return meant === undefined ? undefined : `Did you mean --${meant}?`;
  }
  const ofSsh = Object.hasOwn(OF_SSH, name) ? OF_SSH[name] : undefined;
  if (ofSsh !== undefined) return ofSsh.by === undefined || known.includes(ofSsh.by) ? ofSsh.hint : undefined;
  const other = known.find((each) => each !== name && each.toLowerCase() === name.toLowerCase());
  return other === undefined ? undefined : `Did you mean -${other}?`;
}

const longOf = (names: readonly string[]): readonly string[] => names.filter((name) => name.length > 1);
