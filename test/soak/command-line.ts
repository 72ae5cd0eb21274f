import { parseArgs } from "node:util";

export interface SoakOptions {
  /** Names of parts, in the order they run in. */
  readonly parts: readonly string[];
  /** A whole number; by the clock where none is given. */
  readonly seed: number;
  /** Above 0; 1 is the size that docs/ tells of. */
  readonly scale: number;
}

/** Reads the arguments of `npm run soak --`. Throws an Error that says what is wrong with them; undefined: only help was asked for. */
export function readCommandLine(args: readonly string[], known: readonly string[]): SoakOptions | undefined {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      scale: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(`there is no part ${unknown.join(", ")}; there are ${known.join(", ")}`);
  const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: a whole number is needed`);
  const scale = Number(values.scale);
  if (!(scale > 0 && Number.isFinite(scale)))
    throw new Error(`--scale ${values.scale}: a number above 0 is needed`);
  return { parts: positionals.length > 0 ? positionals : known, seed, scale };
}
