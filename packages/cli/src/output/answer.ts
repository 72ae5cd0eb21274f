import type { Writable } from "node:stream";
import { harmless } from "@farside/protocol";
import { jsonLine } from "./json-line.ts";
import { LineSink } from "./line-sink.ts";

/** More than a terminal holds is more than somebody reads. */
const MAX_LINE = 4096;

/**
 * What a command answers on stdout: lines for people, objects for programs. Much of it is a host's own words: none of it
 * can drive a terminal, or make a line of its own.
 */
export class Answer {
  readonly #sink: LineSink;

  constructor(stream: Writable) {
    this.#sink = new LineSink(stream);
  }

  line(text: string): void {
    this.#sink.write(harmless(text, MAX_LINE));
  }

  json(value: unknown): void {
    this.#sink.write(jsonLine(value));
  }

  /** Resolves when all is written, the reader is gone, or `deadlineMs` has passed. */
  flush(deadlineMs: number): Promise<void> {
    return this.#sink.flush(deadlineMs);
  }
}
