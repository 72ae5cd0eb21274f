import { createReadStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { isatty, ReadStream as TerminalStream } from "node:tty";
import { CodedError, deadline } from "@farside/protocol";

const MAX_LINE_BYTES = 4096;
const DEFAULT_DEADLINE_MS = 60_000;

/**
 * Lines of a descriptor, one whenever somebody asks: what was read is not kept, so a descriptor that gave one PIN gives
 * a second one only where it holds a second line. Nothing is read ahead of the first question.
 */
export class DescriptorLines {
  readonly #fd: number;
  readonly #deadlineMs: number;
  #stream: Readable | undefined;
  #buffered = Buffer.alloc(0);
  #hasEnded = false;

  constructor(fd: number, deadlineMs = DEFAULT_DEADLINE_MS) {
    this.#fd = fd;
    this.#deadlineMs = deadlineMs;
  }

  /** The next line without its line ending; rejects with `card.pin-unavailable` where there is none. */
  async next(signal?: AbortSignal): Promise<string> {
    const late = () => unavailable(this.#fd, `nothing came within ${this.#deadlineMs / 1000} s`);
    using limit = deadline(this.#deadlineMs, late, { signal });
    const stream = this.#open();
    for (;;) {
      const line = this.#take();
      if (line !== undefined) return line;
      if (this.#buffered.length > MAX_LINE_BYTES) throw unavailable(this.#fd, "the line is too long");
      if (this.#hasEnded) throw unavailable(this.#fd, "it has ended");
      const chunk = await nextChunk(stream, limit.signal);
      if (chunk === undefined) this.#hasEnded = true;
      else this.#buffered = Buffer.concat([this.#buffered, chunk]);
    }
  }

  #take(): string | undefined {
    const end = this.#buffered.indexOf(0x0a);
    if (end < 0 && !(this.#hasEnded && this.#buffered.length > 0)) return undefined;
    const line = this.#buffered.subarray(0, end < 0 ? undefined : end).toString("utf8");
    const rest = Buffer.from(this.#buffered.subarray(end < 0 ? this.#buffered.length : end + 1));
    this.#buffered.fill(0);
    this.#buffered = rest;
    return line.replace(/\r$/, "");
  }

  #open(): Readable {
    if (this.#stream !== undefined) return this.#stream;
    let stream: Readable;
    try {
      const stat = fstatSync(this.#fd);
      if (stat.isFIFO() || stat.isSocket())
        stream = new Socket({ fd: this.#fd, readable: true, writable: false });
      else if (isatty(this.#fd)) stream = new TerminalStream(this.#fd);
      else stream = createReadStream("", { fd: this.#fd, autoClose: false });
    } catch {
      throw unavailable(this.#fd, "it is not open");
    }
    stream.on("error", () => {
      this.#hasEnded = true;
    });
    this.#stream = stream;
    return stream;
  }
}

function unavailable(fd: number, why: string): CodedError {
  return new CodedError("card.pin-unavailable", `cannot read a PIN from descriptor ${fd}: ${why}`, {
    hint: "Each PIN entry takes one line of the descriptor.",
    leg: "card",
  });
}

async function nextChunk(stream: Readable, signal: AbortSignal): Promise<Buffer | undefined> {
  signal.throwIfAborted();
  if (stream.readableEnded || stream.destroyed) return undefined;
  const ready = stream.read() as Buffer | null;
  if (ready !== null) return ready;
  await new Promise<void>((resolve, reject) => {
    const done = () => {
      stream.off("readable", done).off("end", done).off("close", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    stream.on("readable", done).on("end", done).on("close", done);
    signal.addEventListener("abort", done, { once: true });
  });
  return stream.readableEnded ? undefined : ((stream.read() as Buffer | null) ?? Buffer.alloc(0));
}
