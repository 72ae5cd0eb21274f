import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Ids of suites, in no order; empty for all. */
  readonly suites: readonly string[];
  readonly isQuick: boolean;
  /** Undefined: what each suite has. */
  readonly rounds: number | undefined;
  readonly help: boolean;
}

/** Reads the arguments of `npm run bench --`. Throws an Error that says what is wrong with them. */
export function readCommandLine(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1)) {
    throw new Error(`--rounds ${values.rounds}: a whole number from 1 is needed`);
  }
  const suites = [...new Set(positionals.flatMap((name) => matching(name, known)))];
  return { suites, isQuick: values.quick, rounds, help: values.help };
}

/** A suite by its id, or all that begin with the word: `bulk` is `bulk-ssh` and `bulk-tcp`. */
function matching(name: string, known: readonly string[]): string[] {
  const found = known.filter((id) => id === name || id.startsWith(`${name}-`));
  if (found.length === 0) throw new Error(`there is no suite ${name}; there are ${known.join(", ")}`);
  return found;
}
