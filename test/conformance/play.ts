import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { BytePattern } from "./byte-pattern.ts";
import type { End, Sight, Step } from "./script.ts";

/** A sender that gets nothing off for so long is held back. */
const HELD_BACK_MS = 400;
/** What a sender may get off to an end that reads nothing: the buffers on the way, no more. */
const HELD_BACK_WITHIN = 64 * 1024 * 1024;
/**
 * An echo that takes longer has waited for something (Nagle's algorithm, a delayed acknowledgement): each but the first ones, for which
 * the kernel acknowledges at once. A busy machine makes some late, not three of four.
 */
const AT_ONCE_MS = 30;
const SOONEST_PART = 1 / 4;
/** After its last step, how long an end waits for the end of the connection before it says that it still stands. */
const LAST_WORD_MS = 10_000;

const patterns = { client: new BytePattern("to service"), service: new BytePattern("to client") };

export interface PlayOptions {
  readonly end: End;
  readonly steps: readonly Step[];
  /** Reached by a `gate` step; resolves when it may go on. */
  readonly gate: () => Promise<void>;
  /** Nothing more is waited for: what has not come by then is not seen. */
  readonly enough: AbortSignal;
}

/** Plays `steps` on a connected socket and tells what this end saw. Never rejects. */
export async function play(socket: Socket, options: PlayOptions): Promise<Sight> {
  const player = new Player(socket, options);
  for (const step of options.steps) {
    // The other end waits at the gate, whatever became of the connection.
    if (!socket.destroyed || step.do === "gate") await player.take(step);
  }
  return player.sight();
}

class Player {
  readonly #socket: Socket;
  readonly #end: End;
  readonly #gate: () => Promise<void>;
  readonly #saw: string[] = ["connected"];
  readonly #closed: Promise<void>;
  readonly #ended: Promise<void>;
  readonly #enough: AbortSignal;
  #sent = 0;
  #received = 0;
  #told = 0;
  #isIntact = true;
  /** An echo comes back with this end's own bytes. */
  #expectsOwn = false;
  #echoes = false;
  #wake = (): void => {};

  constructor(socket: Socket, { end, gate, steps, enough }: PlayOptions) {
    this.#socket = socket;
    this.#end = end;
    this.#gate = gate;
    this.#enough = enough;
    this.#expectsOwn = steps.some(({ do: what }) => what === "ping");
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#note(nameOf(error)));
    this.#ended = new Promise((resolve) => {
      socket.once("end", () => {
        this.#note(isResetTakenForEnd(socket) ? "reset" : "end");
        resolve();
        if (this.#echoes) socket.end();
      });
    });
    this.#closed = new Promise((resolve) => {
      socket.once("close", () => resolve());
      enough.addEventListener("abort", () => {
        resolve();
        this.#wake();
      });
    });
    socket.on("drain", () => this.#wake());
    socket.on("close", () => this.#wake());
  }

  async take(step: Step): Promise<void> {
    const socket = this.#socket;
    switch (step.do) {
      case "send":
        return this.#send(step.bytes, step.piece);
      case "fill":
        return this.#fill();
      case "speak-on":
        while (!this.#isOver) await this.#send(64 * 1024);
        return;
      case "end":
        socket.end();
        return;
      case "reset":
        socket.resetAndDestroy();
        return;
      case "close":
        socket.destroy();
        return;
      case "receive":
        while (this.#received < step.bytes && !this.#isOver && !socket.readableEnded) await this.#change();
        return;
      case "await-end":
        await Promise.race([this.#ended, this.#closed]);
        return;
      case "await-close":
        return this.#closed;
      case "pause":
        socket.pause();
        return;
      case "resume":
        socket.resume();
        return;
      case "echo":
        this.#echoes = true;
        await Promise.race([this.#ended, this.#closed]);
        return;
      case "ping":
        return this.#ping(step.times);
      case "stay":
        await Promise.race([delay(step.ms), this.#closed]);
        this.#note(socket.destroyed ? "cut" : "still open");
        return;
      case "gate":
        return this.#gate();
    }
  }

  /** Waits for the end of the connection, which is part of what is seen. */
  async sight(): Promise<Sight> {
    const timer = new AbortController();
    await Promise.race([
      this.#closed,
      delay(LAST_WORD_MS, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
    this.#note(this.#socket.destroyed ? "closed" : "not closed");
    this.#socket.destroy();
    const [sent, received, isIntact] = [this.#sent, this.#received, this.#isIntact];
    return { saw: this.#saw, sent, received, isIntact };
  }

  get #isOver(): boolean {
    return this.#socket.destroyed || this.#enough.aborted;
  }

  #take(chunk: Buffer): void {
    const whose = this.#expectsOwn === (this.#end === "client") ? patterns.client : patterns.service;
    this.#isIntact &&= whose.matches(this.#received, chunk);
    this.#received += chunk.length;
    if (this.#echoes) this.#socket.write(chunk);
    this.#wake();
  }

  /** What came before something happened belongs before it. */
  #note(what: string): void {
    if (what === "reset" && this.#saw.at(-1) === "reset") return;
    const news = this.#received - this.#told;
    this.#told = this.#received;
    if (news > 0) this.#saw.push(`${news} bytes`);
    this.#saw.push(what);
    this.#wake();
  }

  async #send(bytes: number, piece = 256 * 1024): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const block = patterns[this.#end].slice(this.#sent, Math.min(left, piece));
      left -= block.length;
      this.#sent += block.length;
      const goesOn = this.#socket.write(block);
      if (this.#isOver) return;
      if (!goesOn) await Promise.race([once(this.#socket, "drain").catch(() => {}), this.#closed]);
      else await new Promise(setImmediate);
    }
  }

  async #fill(): Promise<void> {
    const socket = this.#socket;
    const from = this.#sent;
    const isHeldBack = async (): Promise<boolean> => {
      const timer = new AbortController();
      const late = delay(HELD_BACK_MS, true, { signal: timer.signal }).catch(() => true);
      const taken = once(socket, "drain", { signal: timer.signal }).then(
        () => false,
        () => true,
      );
      return await Promise.race([late, taken, this.#closed.then(() => true)]).finally(() => timer.abort());
    };
    for (;;) {
      const block = patterns[this.#end].slice(this.#sent, 256 * 1024);
      this.#sent += block.length;
      if (!socket.write(block) && (await isHeldBack())) break;
      if (this.#sent - from > HELD_BACK_WITHIN || this.#isOver) break;
    }
    if (!socket.destroyed) this.#note(this.#sent - from > HELD_BACK_WITHIN ? "not held back" : "held back");
  }

  async #ping(times: number): Promise<void> {
    const took: number[] = [];
    for (let count = 0; count < times && !this.#socket.destroyed; count += 1) {
      const startedAt = performance.now();
      const expected = this.#received + 1;
      await this.#send(1);
      while (this.#received < expected && !this.#isOver) await this.#change();
      took.push(performance.now() - startedAt);
    }
    const soon = took.sort((a, b) => a - b)[Math.floor(took.length * SOONEST_PART)];
    this.#note((soon ?? Number.POSITIVE_INFINITY) < AT_ONCE_MS ? "each at once" : "each late");
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** libuv reports a reset right behind data as an end. Once this end has ended, too, the kernel doesn't tell them apart either. */
function isResetTakenForEnd(socket: Socket): boolean {
  const handle = (socket as unknown as { _handle?: { getpeername?: (out: object) => number } })._handle;
  return !socket.writableEnded && handle?.getpeername !== undefined && handle.getpeername({}) !== 0;
}

function nameOf(error: NodeJS.ErrnoException): string {
  // Which of the two comes depends on whether the end was writing at that moment.
  return error.code === "ECONNRESET" || error.code === "EPIPE" ? "reset" : (error.code ?? error.message);
}
