import { StringDecoder } from "node:string_decoder";
import { harmless } from "@farside/protocol";

const MAX_LINE_LENGTH = 8192;

/** Cuts an agent's stderr into lines that are safe to show; a longer line is cut. */
export class LogLines {
  readonly #decoder = new StringDecoder("utf8");
  readonly #onLine: (line: string) => void;
  #unfinished = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#unfinished + this.#decoder.write(chunk)).split("\n");
    this.#unfinished = (lines.pop() ?? "").slice(0, MAX_LINE_LENGTH);
    for (const line of lines) if (line !== "") this.#onLine(harmless(line, MAX_LINE_LENGTH));
  }
}
