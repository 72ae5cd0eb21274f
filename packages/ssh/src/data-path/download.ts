import type { Socket } from "node:net";
import { Backlog } from "./backlog.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import type { RelayCounters } from "./relay-end.ts";

/** A run is written when it is so long, even if more follows. */
const longestRun = 512 * 1024;
/** Runs up to this length become one buffer; longer ones are written as they are, in one call. */
const joinedRun = 16 * 1024;
/** What is taken out of the backlog at once. */
const refillBytes = 256 * 1024;

export interface DownloadEvents {
  /** The kernel took bytes, and the server's window may grow by `adjustment`, unless that is 0. */
  passedOn(adjustment: number): void;
  /** After `finish`: the kernel took everything. Called once. */
  emptied(): void;
}

/**
 * Target to client. Neighbouring payloads become one write, straight from the memory that they were decrypted to. What
 * the client does not take waits here, within the receive window.
 */
export class Download {
  readonly #window: ReceiveWindow;
  readonly #events: DownloadEvents;
  readonly #backlog = new Backlog();
  #local: Socket | undefined;
  #counters: RelayCounters = { in: 0, out: 0 };
  #run: Buffer[] = [];
  #runBytes = 0;
  /** Bytes given to the socket that the kernel has not taken. */
  #writing = 0;
  #isFinished = false;
  #isDiscarded = false;

  constructor(window: ReceiveWindow, events: DownloadEvents) {
    this.#window = window;
    this.#events = events;
  }

  /** Whether nothing waits for the client. */
  get isEmpty(): boolean {
    return this.#writing === 0 && this.#runBytes === 0 && this.#backlog.length === 0;
  }

  start(local: Socket, counters: RelayCounters): void {
    this.#local = local;
    this.#counters = counters;
    this.#refill();
  }

  /** Payload that stays as it is; written by `endRun` at the latest. */
  add(bytes: Buffer): void {
    this.#run.push(bytes);
    this.#runBytes += bytes.length;
    if (this.#runBytes >= longestRun) this.endRun();
  }

  endRun(): void {
    if (this.#runBytes === 0) return;
    const run = this.#run;
    const count = this.#runBytes;
    this.#run = [];
    this.#runBytes = 0;
    if (this.#isDiscarded) return;
    // Whenever something waits here, something is being written.
    if (this.#local === undefined || this.#writing > 0) {
      for (const bytes of run) this.#backlog.append(bytes, 0, bytes.length);
      return;
    }
    this.#write(run, count);
  }

  /** Nothing more comes; `emptied` is called when everything is with the kernel, perhaps at once. */
  finish(): void {
    this.endRun();
    this.#isFinished = true;
    this.#finishIfEmpty();
  }

  /** Drops what waits. */
  discard(): void {
    this.#isDiscarded = true;
    this.#run = [];
    this.#runBytes = this.#writing = 0;
    this.#backlog.clear();
  }

  #write(run: readonly Buffer[], count: number): void {
    const local = this.#local as Socket;
    this.#writing = count;
    const [only] = run;
    if (run.length === 1 && only !== undefined) {
      local.write(only, this.#written);
    } else if (count <= joinedRun) {
      local.write(Buffer.concat(run, count), this.#written);
    } else {
      local.cork();
      for (const bytes of run) local.write(bytes, this.#written);
      local.uncork();
    }
    this.#written();
  }

  /** After every write and every completion: only when the socket holds nothing, the kernel took all of it. */
  readonly #written = (): void => {
    const count = this.#writing;
    if (count === 0 || this.#local?.writableLength !== 0) return;
    this.#writing = 0;
    this.#counters.out += count;
    const isSlow = this.#backlog.length >= this.#window.size / 2;
    this.#events.passedOn(this.#window.passedOn(count, isSlow));
    this.#refill();
  };

  #refill(): void {
    if (this.#backlog.length > 0) {
      const run: Buffer[] = [];
      let count = 0;
      while (count < refillBytes) {
        const chunk = this.#backlog.shift();
        if (chunk === undefined) break;
        run.push(chunk);
        count += chunk.length;
      }
      this.#write(run, count);
    } else {
      this.#finishIfEmpty();
    }
  }

  #finishIfEmpty(): void {
    if (!this.#isFinished || !this.isEmpty || this.#local === undefined || this.#isDiscarded) return;
    this.#events.emptied();
  }
}
