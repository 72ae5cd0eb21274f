import type { Socket } from "node:net";
import { SMALL_READ } from "./limits.ts";
import { type LocalReader, takeLocal } from "./local-side.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";

const nothing = Buffer.alloc(0);

/**
 * Reads a client while its channel is being opened, so that what it says first goes right behind the confirmation
 * instead of after one more wait. At most `SMALL_READ` bytes are kept; the rest stays in the kernel.
 */
export class EarlyRead implements LocalReader {
  #kept = nothing;
  #reader: LocalReader | undefined;

  /** `socket` is as `takeLocal` wants it; it stays its owner's until a channel joins it. */
  constructor(socket: Socket) {
    takeLocal(socket, this);
    // Who joins it sees that it is destroyed.
    socket.on("error", ignore);
    socket.resume();
  }

  /** From now on `reader` gets what is read. Returns what was read before, with room around it; once only. */
  handTo(reader: LocalReader): Buffer | undefined {
    const kept = this.#kept;
    this.#reader = reader;
    this.#kept = nothing;
    if (kept.length === 0) return undefined;
    const roomy = Buffer.allocUnsafe(HEAD_ROOM + kept.length + TAIL_ROOM);
    kept.copy(roomy, HEAD_ROOM);
    return roomy;
  }

  nextRead(): number {
    return this.#reader?.nextRead() ?? Math.max(1, SMALL_READ - this.#kept.length);
  }

  read(bytes: Buffer, from: number, to: number): boolean {
    if (this.#reader !== undefined) return this.#reader.read(bytes, from, to);
    this.#kept = Buffer.concat([this.#kept, bytes.subarray(from, to)]);
    return this.#kept.length < SMALL_READ;
  }
}

function ignore(): void {}
