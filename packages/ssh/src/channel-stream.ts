import { Duplex } from "node:stream";
import type { Channel } from "ssh2";

const readAheadBytes = 256 * 1024;

/**
 * One SSH channel as a well-behaved Duplex. `end()` is EOF and leaves the other direction open; `destroy()` closes the
 * channel; the host's EOF is `end`. When the host closes the channel, what it sent before is still read, and then the
 * stream closes. A lost connection destroys it with `hop.lost`, so that it is never taken for an EOF.
 */
export class ChannelStream extends Duplex {
  /** Resolves when the host has handed on what it had for the target and closed the channel, or the connection is gone. */
  readonly letGo: Promise<void>;
  readonly #channel: Channel;
  #isClosedByHost = false;
  #pendingWrite: ((error?: Error | null) => void) | undefined;

  constructor(channel: Channel) {
    super({ allowHalfOpen: true, highWaterMark: readAheadBytes });
    this.#channel = channel;
    channel.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on("end", () => this.push(null));
    this.letGo = new Promise((resolve) => {
      channel.on("close", () => {
        resolve();
        this.#closedByHost();
      });
    });
    channel.on("error", (error: Error) => this.destroy(error));
    // Once the host has closed the channel and its last byte is read, nothing can happen here any more.
    this.on("end", () => {
      if (this.#isClosedByHost) this.destroy();
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pendingWrite = done;
    // A closed channel never calls back: the stream is destroyed once everything is read.
    if (this.#isClosedByHost) return;
    this.#channel.write(chunk, (error) => {
      this.#pendingWrite = undefined;
      done(error);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.close();
    // ssh2 keeps the channel until the host confirms; whatever still comes is dropped.
    this.#channel.removeAllListeners("data");
    this.#channel.resume();
    const pending = this.#pendingWrite;
    this.#pendingWrite = undefined;
    pending?.(error ?? new Error("the channel was closed"));
    done(error);
  }

  #closedByHost(): void {
    this.#isClosedByHost = true;
    if (this.readableEnded) this.destroy();
  }
}
