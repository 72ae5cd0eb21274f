/** What the demo prints: plain text with a little colour on a terminal, and a check list that decides the exit status. */

const hasColour = process.stdout.isTTY === true && !process.env["NO_COLOR"];
const paint = (code: number) => (text: string) => (hasColour ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
const green = paint(32);
const red = paint(31);

export function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  say(`\n${bold(text)}`);
}

/** Prints what a program says on a terminal, line by line behind a bar: the last state of lines that it draws over. */
export class Transcript {
  #rest = "";
  #last = "";

  take(text: string): void {
    this.#rest += text;
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end < 0) return;
      this.#print(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 1);
    }
  }

  end(): void {
    this.#print(this.#rest);
    this.#rest = "";
  }

  #print(line: string): void {
    const drawn =
      plain(line)
        .split("\r")
        .filter((part) => part.trim() !== "")
        .at(-1) ?? "";
    if (drawn === "" || drawn === this.#last) return;
    this.#last = drawn;
    say(`  ${dim("│")} ${drawn}`);
  }
}

/** Terminal output without escape sequences; a line that is erased counts as overwritten. */
export function plain(text: string): string {
  const ESCAPE = "\x1b";
  return text
    .replaceAll(new RegExp(`${ESCAPE}\\[[0-9;]*[KG]`, "g"), "\r")
    .replaceAll(new RegExp(`${ESCAPE}\\[[0-9;?]*[A-Za-z]`, "g"), "")
    .replaceAll("\r\n", "\n");
}

/** Promises, each kept or not. */
export class CheckList {
  #failures = 0;

  check(what: string, found: string, isKept: boolean): void {
    if (!isKept) this.#failures += 1;
    say(`  ${isKept ? green("✓") : red("✗")} ${what.padEnd(46)} ${found}`);
  }

  get areAllKept(): boolean {
    return this.#failures === 0;
  }
}

export function bytesText(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
