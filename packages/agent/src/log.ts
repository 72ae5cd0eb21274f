import type { Writable } from "node:stream";
import { harmless } from "@farside/protocol";
import { RateLimit } from "./rate-limit.ts";

const LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Lines at once, and a second after that: a flood of them must not hold the agent up. */
const BURST = 200;
const LINES_PER_SECOND = 20;
const MAX_TEXT = 2000;
/** What may wait for a reader of stderr that does not read. */
const MAX_WAITING_BYTES = 64 * 1024;

/** Writes one JSON object a line: `at`, `level`, `message` and fields. Never blocks, never throws; what is too much is dropped and counted. */
export class Log {
  readonly #out: Writable;
  readonly #rate = new RateLimit(BURST, LINES_PER_SECOND);
  #level: LogLevel = "info";
  #dropped = 0;

  constructor(out: Writable) {
    this.#out = out;
    // The reader of the log may go before us.
    out.on("error", () => {});
  }

  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  #write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(this.#level)) return;
    const isStuck = this.#out.writableLength > MAX_WAITING_BYTES || !this.#out.writable;
    if (isStuck || !this.#rate.take()) {
      this.#dropped += 1;
      return;
    }
    const line: Record<string, unknown> = {
      at: new Date().toISOString(),
      level,
      message: harmless(message, MAX_TEXT),
    };
    for (const [key, value] of Object.entries(fields)) {
      line[key] = typeof value === "string" ? harmless(value, MAX_TEXT) : value;
    }
    if (this.#dropped > 0) line["droppedLines"] = this.#dropped;
    this.#dropped = 0;
    this.#out.write(`${JSON.stringify(line)}\n`);
  }
}
