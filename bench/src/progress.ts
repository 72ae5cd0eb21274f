/** What a person sees while it runs: on a terminal one line that changes, elsewhere only what stays. On stderr. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;

  /** Where it is now. */
  show(text: string): void {
    if (this.#isTerminal) process.stderr.write(`\r\x1b[K${text}`);
  }

  /** Something to keep. */
  say(text: string): void {
    process.stderr.write(`${this.#isTerminal ? "\r\x1b[K" : ""}${text}\n`);
  }
}
