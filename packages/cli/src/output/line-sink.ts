import { createWriteStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { isatty, WriteStream as TerminalStream } from "node:tty";
import { CodedError } from "@farside/protocol";

/** Lines that wait for a slow reader; beyond it, lines that may be dropped are. */
const MAX_WAITING_LINES = 1000;
/** Beyond it everything is dropped but what `end` carries: nobody reads. */
const MAX_WAITING_LINES_AT_ALL = 2 * MAX_WAITING_LINES;

/**
 * Writes lines to a stream whose reader may be slow, stop reading, or be gone: writing never blocks, never throws, and
 * never holds more than a bounded number of lines. The stream stays open; whoever opened it closes it.
 */
export class LineSink {
  readonly #stream: Writable;
  readonly #onRoom: ((dropped: number) => string) | undefined;
  #waiting = 0;
  #dropped = 0;
  #gone = false;
  #flushed: (() => void) | undefined;

  /** `onRoom` gives the line that says how many were dropped; it is written once there is room again. */
  constructor(stream: Writable, onRoom?: (dropped: number) => string) {
    this.#stream = stream;
    this.#onRoom = onRoom;
    // EPIPE, EIO of a closed terminal: the reader is gone, which is no reason to stop what is being reported.
    stream.on("error", () => this.#lose());
  }

  /** Whether the reader is gone. */
  get isGone(): boolean {
    return this.#gone;
  }

  /** Writes `line` and a newline. `droppable` lines are the first to go where the reader is slow. */
  write(line: string, options: { droppable?: boolean; last?: boolean } = {}): void {
    if (this.#gone) return;
    const limit = options.droppable === true ? MAX_WAITING_LINES : MAX_WAITING_LINES_AT_ALL;
    if (options.last !== true && this.#waiting >= limit) {
      this.#dropped += 1;
      return;
    }
    this.#put(line);
  }

  /** Resolves when all is written, the reader is gone, or `deadlineMs` has passed. */
  async flush(deadlineMs: number): Promise<void> {
    if (this.#waiting === 0 || this.#gone) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#flushed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #put(line: string): void {
    this.#waiting += 1;
    try {
      this.#stream.write(`${line}\n`, (error) => {
        this.#waiting -= 1;
        if (error !== null && error !== undefined) this.#lose();
        this.#settle();
      });
    } catch {
      this.#waiting -= 1;
      this.#lose();
    }
  }

  #settle(): void {
    if (
      !this.#gone &&
      this.#dropped > 0 &&
      this.#onRoom !== undefined &&
      this.#waiting < MAX_WAITING_LINES / 2
    ) {
      const line = this.#onRoom(this.#dropped);
      this.#dropped = 0;
      this.#put(line);
    }
    if (this.#waiting === 0 || this.#gone) this.#flushed?.();
  }

  #lose(): void {
    this.#gone = true;
    this.#flushed?.();
  }
}

/** A stream that writes to an open descriptor without ever blocking the process. Throws `usage.invalid` where it isn't open. */
export function openDescriptor(fd: number, option: string): Writable {
  let stat: ReturnType<typeof fstatSync>;
  try {
    stat = fstatSync(fd);
  } catch {
    throw new CodedError("usage.invalid", `${option}: descriptor ${fd} is not open`, {
      hint: `Open it in the shell: ${option} fd:${fd} ${fd}>events.jsonl`,
    });
  }
  if (stat.isDirectory()) throw new CodedError("usage.invalid", `${option}: descriptor ${fd} is a directory`);
  if (stat.isFIFO() || stat.isSocket()) return new Socket({ fd, readable: false, writable: true });
  if (isatty(fd)) return new TerminalStream(fd);
  return createWriteStream("", { fd, autoClose: false });
}
