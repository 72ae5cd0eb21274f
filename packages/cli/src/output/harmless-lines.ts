import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { harmless } from "@farside/protocol";

/** What is longer goes on in a line of its own. */
const MAX_LINE = 16 * 1024;

/** Lines of a host on their way to a terminal: each made harmless, whatever chunks they come in. */
export class HarmlessLines extends Transform {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, text?: string) => void): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest);
      this.#rest = "";
    }
    done(null, lines.map((line) => `${harmless(line, MAX_LINE)}\n`).join(""));
  }

  override _flush(done: (error: null, text?: string) => void): void {
    const rest = this.#rest + this.#decoder.end();
    done(null, rest === "" ? undefined : `${harmless(rest, MAX_LINE)}\n`);
  }
}
