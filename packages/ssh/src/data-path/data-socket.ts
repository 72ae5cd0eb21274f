import { connect, type Socket, type TcpNetConnectOpts } from "node:net";

/** Takes what was read at the start of `room()`. */
export interface ReadTarget {
  room(): Buffer;
  filled(count: number): void;
}

/** Where the reads of a socket go; undefined until a data path takes them. */
interface Reads {
  target: ReadTarget | undefined;
}

const readsOf = new WeakMap<Socket, Reads>();
const firstReadBytes = 64 * 1024;

/**
 * `net.connect` for a socket that a data path can take over. Until one does, it is a stream like any other; then its
 * reads go straight into the path's memory.
 */
export function connectDataSocket(options: TcpNetConnectOpts): Socket {
  const reads: Reads = { target: undefined };
  let first: Buffer | undefined = Buffer.allocUnsafeSlow(firstReadBytes);
  const socket: Socket = connect({
    ...options,
    onread: {
      buffer: () => {
        if (reads.target !== undefined) {
          first = undefined;
          return reads.target.room();
        }
        first ??= Buffer.allocUnsafeSlow(firstReadBytes);
        return first;
      },
      callback: (count, buffer) => {
        // The read that was under way when the target was set went to the buffer of before.
        if (reads.target !== undefined && buffer !== first) {
          reads.target.filled(count);
          return true;
        }
        const copy = Buffer.from(buffer.subarray(0, count));
        if (reads.target === undefined) return socket.push(copy);
        fill(reads.target, copy);
        return true;
      },
    },
  });
  readsOf.set(socket, reads);
  return socket;
}

/** Sends the reads of `socket` to `target` from now on; false where it was not made by `connectDataSocket`. */
export function redirectReads(socket: Socket, target: ReadTarget): boolean {
  const reads = readsOf.get(socket);
  if (reads === undefined) return false;
  reads.target = target;
  return true;
}

/** Gives `chunk` to `target` as if it had been read there. */
export function fill(target: ReadTarget, chunk: Buffer): void {
  let at = 0;
  while (at < chunk.length) {
    const room = target.room();
    const count = chunk.copy(room, 0, at);
    if (count === 0) throw new Error("the receive ring has no room");
    at += count;
    target.filled(count);
  }
}
