import { harmless } from "@farside/protocol";

const MAX_KEPT = 16 * 1024;
const MAX_LINE = 1024;

/** The last of a text of any length, and its lines as they come. */
export class KeptText {
  text = "";
  #line = "";
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const text = chunk.toString("utf8");
    this.text = (this.text + text).slice(-MAX_KEPT);
    const lines = (this.#line + text).split(/\r?\n/);
    this.#line = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) this.#onLine(harmless(line, MAX_LINE));
  }

  clear(): void {
    this.text = "";
  }
}
