import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { isReset } from "@farside/ssh";
import type { Meeting } from "./meeting.ts";
import type { RelayStep, ScriptEnd } from "./relay-script.ts";

/** Longer than any buffer on the way and prime, so that no piece stands where another could. */
const PERIOD = 1_048_573;
const noise: Readonly<Record<ScriptEnd, Buffer>> = { client: noiseOf("client"), service: noiseOf("service") };

/** What one end did and saw, when it is over. */
export interface EndSight {
  /** Bytes that it wrote. */
  readonly sent: number;
  readonly received: number;
  /** Whether each byte that came was the other's at that place. */
  readonly isIntact: boolean;
  /** How the other's direction was over; `over`: by an end or a reset, Node.js doesn't tell; `nothing`: it went itself before it knew. */
  readonly saw: "end" | "reset" | "over" | "nothing";
  /** How it left, by itself or made to. */
  readonly left: "end" | "close" | "reset";
  /** It had ended before it closed or reset. */
  readonly endedFirst: boolean;
  /** It ended or closed when the kernel had all that it wrote. */
  readonly isFlushed: boolean;
  /** When it closed or reset, there was nothing that it had not read; true where it did neither. */
  readonly hadReadAll: boolean;
}

/** One end of a connection, which does the steps of a script. */
export class ScriptedEnd {
  readonly end: ScriptEnd;
  readonly #socket: Socket;
  readonly #meeting: Meeting;
  readonly #over: Promise<void>;
  /** The other's direction is. */
  readonly #heard: Promise<void>;
  #sent = 0;
  #received = 0;
  #isIntact = true;
  #saw: EndSight["saw"] = "nothing";
  #left: EndSight["left"] | undefined;
  #hasEnded = false;
  #isFlushed = true;
  #hadReadAll = true;

  /** `socket` is paused, and was never read. */
  constructor(end: ScriptEnd, socket: Socket, meeting: Meeting) {
    this.end = end;
    this.#socket = socket;
    this.#meeting = meeting;
    socket.setNoDelay(true);
    const other = end === "client" ? "service" : "client";
    socket.on("data", (chunk: Buffer) => {
      this.#isIntact &&= isAt(noise[other], this.#received, chunk);
      this.#received += chunk.length;
    });
    this.#heard = new Promise((resolve) => socket.once("end", resolve).once("close", () => resolve()));
    socket.on("end", () => {
      // libuv reports a reset right behind data as an end, and the kernel says of both that nobody is there once this side has ended, too.
      if (isReset(socket) !== true) this.#see("end");
      else this.#see(socket.writableEnded ? "over" : "reset");
    });
    socket.on("error", () => this.#see("reset"));
    this.#over = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.pause();
  }

  get sent(): number {
    return this.#sent;
  }

  /** Resolves when the steps are done and the connection is over. `other` is the other end. */
  async play(steps: readonly RelayStep[], other: ScriptedEnd, isWaiting: boolean): Promise<EndSight> {
    this.#socket.resume();
    for (const step of steps) {
      if (this.#socket.destroyed && step.do !== "meet") continue;
      if (step.do === "hear" && isWaiting) await this.#hear();
      else await this.#take(step, other);
    }
    this.#meeting.leave(this.end);
    if (this.#left === undefined && isWaiting) await this.#hear();
    if (this.#left === undefined) this.#end();
    await this.#over;
    return {
      ...{ sent: this.#sent, received: this.#received, isIntact: this.#isIntact, saw: this.#saw },
      ...{ left: this.#left ?? "end", endedFirst: this.#hasEnded },
      ...{ isFlushed: this.#isFlushed, hadReadAll: this.#hadReadAll },
    };
  }

  /** For a failure's message. */
  toString(): string {
    const { destroyed, readableEnded, writableFinished, writableLength } = this.#socket;
    const state = JSON.stringify({ destroyed, readableEnded, writableFinished, writableLength });
    return `${this.end}: ${this.#sent} sent, ${this.#received} received, saw ${this.#saw}, left by ${this.#left}, ${state}`;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #take(step: RelayStep, other: ScriptedEnd): Promise<void> {
    const socket = this.#socket;
    switch (step.do) {
      case "write":
        if (this.#left === undefined) this.#write(step.bytes);
        return;
      case "turns":
        for (let count = 0; count < step.count; count += 1) await new Promise(setImmediate);
        return;
      case "pause":
        socket.pause();
        await delay(step.ms);
        socket.resume();
        return;
      case "flush":
        while (socket.writableLength > 0 && !socket.destroyed) await new Promise(setImmediate);
        return;
      case "meet":
        return this.#meeting.join(this.end);
      case "hear":
        return;
      case "end":
        this.#end();
        return;
      case "close":
        this.#go("close", other);
        socket.destroy();
        return;
      case "reset":
        this.#go("reset", other);
        // libuv refuses a reset while a shutdown is under way.
        if (socket.writableEnded && !socket.writableFinished) socket.destroy();
        else socket.resetAndDestroy();
    }
  }

  async #hear(): Promise<void> {
    // Nobody must wait for who waits for them.
    this.#meeting.leave(this.end);
    await this.#heard;
  }

  #end(): void {
    if (this.#socket.destroyed) return;
    this.#left = "end";
    this.#hasEnded = true;
    this.#socket.end();
  }

  #go(how: "close" | "reset", other: ScriptedEnd): void {
    this.#left = how;
    this.#isFlushed = this.#socket.writableLength === 0;
    this.#hadReadAll = this.#received === other.sent;
  }

  #write(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const from = this.#sent % PERIOD;
      const piece = noise[this.end].subarray(from, Math.min(PERIOD, from + left));
      left -= piece.length;
      this.#sent += piece.length;
      this.#socket.write(piece);
    }
  }

  #see(what: EndSight["saw"]): void {
    if (this.#left !== "close" && this.#left !== "reset") this.#saw = what;
  }
}

function noiseOf(end: ScriptEnd): Buffer {
  const blocks = Array.from({ length: Math.ceil(PERIOD / 32) }, (_, index) =>
    createHash("sha256").update(`${end} ${index}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, PERIOD);
}

/** Whether `chunk` is what stands from place `at` on. */
function isAt(pattern: Buffer, at: number, chunk: Buffer): boolean {
  for (let done = 0; done < chunk.length; ) {
    const from = (at + done) % PERIOD;
    const count = Math.min(PERIOD - from, chunk.length - done);
    if (pattern.compare(chunk, done, done + count, from, from + count) !== 0) return false;
    done += count;
  }
  return true;
}
