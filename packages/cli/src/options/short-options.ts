/** Short options that take a value; as with ssh it may follow at once: `-L8080:localhost:80`, `-p2222`. */
const WITH_VALUE = new Set(["L", "J", "o", "p", "F"]);

/** Splits `-Lvalue` into `-L`, `value`, which yargs would take for a group of flags. Stops at `--`. */
export function splitShortOptions(argv: readonly string[]): string[] {
  const out: string[] = [];
  for (const [index, argument] of argv.entries()) {
    if (argument === "--") return [...out, ...argv.slice(index)];
    const letter = argument.charAt(1);
    if (
      argument.startsWith("-") &&
      WITH_VALUE.has(letter) &&
      argument.length > 2 &&
      argument.charAt(2) !== "="
    ) {
      out.push(`-${letter}`, argument.slice(2));
    } else {
      out.push(argument);
    }
  }
  return out;
}
