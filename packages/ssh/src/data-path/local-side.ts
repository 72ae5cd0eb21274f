import { Socket } from "node:net";
import { LARGE_READ, SMALL_READ } from "./limits.ts";
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

interface WithHandle {
  _handle: { useUserBuffer?: unknown; readStop?: unknown } | null;
}

/**
 * Takes over `socket`, which was accepted and never read (`pauseOnConnect`), and returns the paused socket to use from
 * now on. Where Node lets us, that is another socket on the same handle, and `socket` closes at once.
 */
export function takeLocal(socket: Socket, reader: LocalReader): { socket: Socket; mode: ReadMode } {
  const rewrapped = rewrap(socket, reader);
  if (rewrapped !== undefined) return { socket: rewrapped, mode: "scratch" };
  socket.pause();
  socket.allowHalfOpen = true;
  socket.on("data", (chunk: Buffer) => {
    if (!readChunk(chunk, reader)) socket.pause();
  });
  // Adding the listener must not start it.
  socket.pause();
  return { socket, mode: "stream" };
}

/** Accepted sockets have no `onread` option, so the handle gets a new socket that has one. Undocumented, Node 18 to 26. */
function rewrap(socket: Socket, reader: LocalReader): Socket | undefined {
  const inner = socket as unknown as WithHandle;
  const handle = inner._handle;
  const isFresh = !socket.destroyed && socket.readableLength === 0 && socket.writableLength === 0;
  if (!isFresh || socket.readableEnded || !socket.writable || socket.listenerCount("data") > 0)
    return undefined;
  if (typeof handle?.useUserBuffer !== "function" || typeof handle.readStop !== "function") return undefined;
  const options = {
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    onread: {
      buffer: () => roomFor(reader.nextRead()),
      callback: (count: number) => reader.read(scratch, HEAD_ROOM, HEAD_ROOM + count),
    },
  };
  inner._handle = null;
  try {
    const rewrapped = new Socket(options);
    // Without its handle it only leaves its server's count of connections.
    socket.destroy();
    return rewrapped;
  } catch {
    inner._handle = handle;
    return undefined;
  }
}

function readChunk(chunk: Buffer, reader: LocalReader): boolean {
  let goOn = true;
  for (let at = 0; at < chunk.length; at += LARGE_READ) {
    const count = chunk.copy(scratch, HEAD_ROOM, at, at + LARGE_READ);
    goOn = reader.read(scratch, HEAD_ROOM, HEAD_ROOM + count);
  }
  return goOn;
}
