import type { Socket } from "node:net";
import { LARGE_READ, SMALL_READ } from "./limits.ts";
import { readInto } from "./read-into.ts";
import { HEAD_ROOM, TAIL_ROOM } from "./sealer.ts";

/**
 * The one buffer that all local sockets of the process are read into: a read is sealed before the next one begins.
 * There is room around the payload for the header and padding of a packet.
 */
const scratch = Buffer.allocUnsafeSlow(HEAD_ROOM + LARGE_READ + TAIL_ROOM);
const smallRead = scratch.subarray(HEAD_ROOM, HEAD_ROOM + SMALL_READ);
const largeRead = scratch.subarray(HEAD_ROOM, HEAD_ROOM + LARGE_READ);

function roomFor(bytes: number): Buffer {
  if (bytes === SMALL_READ) return smallRead;
  return bytes === LARGE_READ ? largeRead : scratch.subarray(HEAD_ROOM, HEAD_ROOM + bytes);
}

export interface LocalReader {
  /** Takes `bytes[from..to)`, which has `HEAD_ROOM` and `TAIL_ROOM` around it; false stops reading until `resume`. */
  read(bytes: Buffer, from: number, to: number): boolean;
  /** How long the next read may be: from `SMALL_READ` to `LARGE_READ`. */
  nextRead(): number;
}

/** How a local socket is read: into the scratch buffer, or by Node's ordinary stream where that can't be had. */
export type ReadMode = "scratch" | "stream";

/** From now on `socket`, which was accepted, is paused and was never read (`pauseOnConnect`), is read by `reader`. */
export function takeLocal(socket: Socket, reader: LocalReader): ReadMode {
  socket.allowHalfOpen = true;
  const onread = {
    buffer: () => roomFor(reader.nextRead()),
    callback: (count: number) => reader.read(scratch, HEAD_ROOM, HEAD_ROOM + count),
  };
  if (readInto(socket, onread)) return "scratch";
  socket.pause();
  socket.on("data", (chunk: Buffer) => {
    if (!readChunk(chunk, reader)) socket.pause();
  });
  // Adding the listener must not start it.
  socket.pause();
  return "stream";
}

function readChunk(chunk: Buffer, reader: LocalReader): boolean {
  let goOn = true;
  for (let at = 0; at < chunk.length; at += LARGE_READ) {
    const count = chunk.copy(scratch, HEAD_ROOM, at, at + LARGE_READ);
    goOn = reader.read(scratch, HEAD_ROOM, HEAD_ROOM + count);
  }
  return goOn;
}
