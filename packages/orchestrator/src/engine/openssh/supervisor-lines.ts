import { shellMark } from "../../bootstrap.ts";
import { SUPERVISOR_MARK } from "./supervisor-script.ts";

/** Of one line, how much is kept: the last. */
const MAX_LINE = 1024;

/** Cuts what the host prints into the supervisor's lines; the rest is noise of the login. */
export class SupervisorLines {
  readonly #mark: string;
  readonly #shellMark: string;
  #pending = "";
  #lines: string[] = [];
  #noise = "";
  #hasRun = false;

  constructor(nonce: string) {
    this.#mark = `${SUPERVISOR_MARK}${nonce}:`;
    this.#shellMark = shellMark(nonce).trimEnd();
  }

  /** Whether the login has come to our command. */
  get hasRun(): boolean {
    return this.#hasRun;
  }

  get noise(): string {
    return this.#noise;
  }

  push(chunk: Uint8Array): void {
    const parts = (this.#pending + Buffer.from(chunk).toString("latin1")).split("\n");
    this.#pending = (parts.pop() ?? "").slice(-MAX_LINE);
    for (const part of parts) this.#line(part.slice(-MAX_LINE));
  }

  has(word: string): boolean {
    return this.#lines.includes(word);
  }

  /** The lines so far, without their mark; each is taken once. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  #line(text: string): void {
    // A login may print without a line end of its own.
    const [at, shellAt] = [text.indexOf(this.#mark), text.indexOf(this.#shellMark)];
    if (at >= 0) {
      this.#lines.push(text.slice(at + this.#mark.length).trimEnd());
      this.#skip(text.slice(0, at));
    } else if (shellAt >= 0) {
      this.#hasRun = true;
      this.#skip(text.slice(0, shellAt));
    } else this.#skip(`${text}\n`);
  }

  #skip(text: string): void {
    this.#noise = `${this.#noise}${text}`.slice(-MAX_LINE);
  }
}
