import { closestWord } from "./closest-word.ts";
import { agentSubcommandNames } from "./commands/agent.ts";
import { cardSubcommandNames } from "./commands/card.ts";
import { usageError } from "./usage-error.ts";

/** Every command, and what may stand behind it to make it one. */
const commands: Readonly<Record<string, readonly string[]>> = {
  forward: [],
  "deploy-and-forward": [],
  run: [],
  teardown: [],
  status: [],
  doctor: [],
  agent: agentSubcommandNames,
  card: cardSubcommandNames,
  audit: ["verify"],
  completion: [],
  help: [],
};

/** Whether farside has that command. */
export const isCommand = (word: string): boolean => Object.hasOwn(commands, word);

/** Refuses a command that there isn't, also where only its help is asked for, and names the one that was meant. */
export function checkCommand([command = "", subcommand = ""]: readonly string[]): void {
  if (command === "" || command.startsWith("-")) return;
  if (!isCommand(command)) throw unknown(command, closestWord(command, Object.keys(commands)), "farside");
  if (subcommand === "" || subcommand.startsWith("-")) return;
  if (command === "completion") {
    const hint = "It is for the shell that SHELL names: bash, or zsh.";
    throw usageError(`unexpected argument ${JSON.stringify(subcommand)}`, hint);
  }
  const subcommands = commands[command] ?? [];
  if (subcommands.length === 0 || subcommands.includes(subcommand)) return;
  throw unknown(`${command} ${subcommand}`, closestWord(subcommand, subcommands), `farside ${command}`);
}

function unknown(words: string, meant: string | undefined, parent: string): Error {
  const hint = meant === undefined ? `${parent} --help shows what there is.` : `Did you mean ${meant}?`;
  return usageError(`unknown command ${words}`, hint);
}
