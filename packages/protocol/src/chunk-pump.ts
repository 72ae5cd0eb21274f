import type { Readable } from "node:stream";
import { MAX_COMMAND_CHUNK_BYTES, MAX_COMMAND_CHUNKS } from "./limits.ts";

/** `end`: the source has ended and all of it was taken. `closed`: the other side takes no more. `stopped`: `stop` was called. */
export type PumpEnd = "end" | "closed" | "stopped";

/** Hands one chunk to the other side; resolves when it is written there. A rejection counts as closed. */
export type SendChunk = (data: Uint8Array) => Promise<{ readonly isOpen: boolean }>;

/**
 * Sends what a stream holds in chunks, at most MAX_COMMAND_CHUNKS of them unanswered; meanwhile the source is not read. The source
 * stays open and stays its owner's; one that breaks has ended.
 */
export class ChunkPump {
  /** Never rejects. */
  readonly done: Promise<PumpEnd>;
  readonly #source: Readable;
  readonly #send: SendChunk;
  #inFlight = 0;
  #sent = 0;
  #hasEnded = false;
  #isClosed = false;
  #isStopped = false;
  #wake: () => void = () => {};

  constructor(source: Readable, send: SendChunk) {
    this.#source = source;
    this.#send = send;
    this.#hasEnded = source.readableEnded || source.destroyed;
    this.done = this.#run();
  }

  /** Chunks that nobody has answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Chunks handed over so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends no more; what is on the way is not waited for. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  async #run(): Promise<PumpEnd> {
    const source = this.#source;
    const wake = () => this.#wake();
    const ended = () => {
      this.#hasEnded = true;
      this.#wake();
    };
    source.on("readable", wake).on("end", ended).on("close", ended).on("error", ended);
    try {
      while (!this.#isOver) {
        if (this.#inFlight >= MAX_COMMAND_CHUNKS) {
          await this.#woken();
          continue;
        }
        const bytes = source.read() as Buffer | string | null;
        // A stream of objects may hold texts.
        if (bytes !== null) await this.#sendAll(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
        else if (!this.#hasEnded) await this.#woken();
        else if (this.#inFlight === 0) return "end";
        else await this.#woken();
      }
      return this.#isStopped ? "stopped" : "closed";
    } finally {
      source.off("readable", wake).off("end", ended).off("close", ended);
    }
  }

  get #isOver(): boolean {
    return this.#isClosed || this.#isStopped;
  }

  async #sendAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isOver; ) {
      if (this.#inFlight >= MAX_COMMAND_CHUNKS) {
        await this.#woken();
        continue;
      }
      void this.#sendOne(bytes.subarray(at, at + MAX_COMMAND_CHUNK_BYTES));
      at += MAX_COMMAND_CHUNK_BYTES;
    }
  }

  async #sendOne(data: Uint8Array): Promise<void> {
    this.#inFlight += 1;
    this.#sent += 1;
    try {
      if (!(await this.#send(data)).isOpen) this.#isClosed = true;
    } catch {
      this.#isClosed = true;
    }
    this.#inFlight -= 1;
    this.#wake();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
