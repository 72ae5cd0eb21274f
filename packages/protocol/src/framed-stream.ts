import type { Duplex, Readable, Writable } from "node:stream";
import { abortable } from "./abortable.ts";
import { deadline } from "./deadline.ts";
import { CodedError, isCodedError } from "./errors.ts";
import { encodeFrame, FrameDecoder } from "./frame.ts";
import type { MessageStream, WireValue } from "./message-stream.ts";

/** How long a close waits for what was sent to be taken, before it cuts. */
export const CLOSE_TIMEOUT_MS = 2000;

export interface FramedStreamOptions {
  /** Bytes that were read from the carrier already, behind the preamble. */
  readonly initial?: Uint8Array | undefined;
}

/**
 * Messages as frames over a byte stream: a Duplex, or a readable and a writable side (stdin and stdout). It owns both and
 * destroys them at its close. Reading goes on only as messages are asked for. `messages` throws `agent.gone` where the
 * carrier breaks instead of ending.
 */
export class FramedStream implements MessageStream {
  readonly messages: AsyncIterable<WireValue>;
  readonly #readable: Readable;
  readonly #writable: Writable;
  #closing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #isCorked = false;

  constructor(
    carrier: Duplex | { readonly readable: Readable; readonly writable: Writable },
    options: FramedStreamOptions = {},
  ) {
    if (typeof carrier.readable === "boolean") {
      this.#readable = this.#writable = carrier as Duplex;
    } else {
      const pair = carrier as { readable: Readable; writable: Writable };
      this.#readable = pair.readable;
      this.#writable = pair.writable;
    }
    // Failures reach the iteration and the senders; an error that nobody listens to would end the process.
    this.#readable.on("error", () => undefined);
    this.#writable.on("error", () => undefined);
    this.messages = this.#read(options.initial);
  }

  async send(message: WireValue): Promise<void> {
    const frame = encodeFrame(message);
    if (this.#closing !== undefined || !this.#writable.writable) throw carrierGone(this.#writable.errored);
    this.#cork();
    if (this.#writable.write(frame)) return;
    this.#draining ??= this.#drained().finally(() => {
      this.#draining = undefined;
    });
    await this.#draining;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What is sent in one go goes in one write: each costs a system call and wakes the other side. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#writable.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#writable.uncork();
    });
  }

  async *#read(initial: Uint8Array | undefined): AsyncGenerator<WireValue, void, undefined> {
    const decoder = new FrameDecoder();
    try {
      if (initial !== undefined) yield* decoder.push(initial);
      for await (const chunk of this.#readable.iterator({ destroyOnReturn: false }))
        yield* decoder.push(chunk);
      if (this.#closing === undefined) decoder.end();
    } catch (error) {
      if (this.#closing !== undefined) return;
      throw isCodedError(error) ? error : carrierGone(error);
    }
  }

  /** Resolves when the carrier takes more, rejects when it never will. */
  #drained(): Promise<void> {
    const writable = this.#writable;
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => () => {
        writable.off("drain", onDrain).off("finish", onDrain).off("close", onGone).off("error", onGone);
        done();
      };
      const onDrain = settle(resolve);
      const onGone = settle(() => reject(carrierGone(writable.errored)));
      writable.on("drain", onDrain).on("finish", onDrain).on("close", onGone).on("error", onGone);
    });
  }

  async #end(): Promise<void> {
    const writable = this.#writable;
    if (!writable.destroyed && !writable.writableFinished) {
      const limit = deadline(CLOSE_TIMEOUT_MS, "closing the control channel took too long");
      const finished = new Promise<void>((resolve) => {
        for (const event of ["finish", "close", "error"]) writable.once(event, () => resolve());
      });
      writable.end();
      await abortable(finished, limit.signal).catch(() => undefined);
      limit.release();
    }
    this.#readable.destroy();
    writable.destroy();
  }
}

function carrierGone(cause: unknown): CodedError {
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return new CodedError("agent.gone", `the control channel to the other side is gone${detail}`, { cause });
}
