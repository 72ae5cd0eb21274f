import net from "node:net";
import type { Duplex } from "node:stream";
import { PooledReader } from "./pooled-reader.ts";
import { readPool } from "./read-pool.ts";

/**
 * One side of a relay: a connected stream that does not flow yet, with half-close allowed. `reader` is there where its
 * reads bypass the stream's buffer; else the stream is read by its `data` events. The relay that takes it destroys it.
 */
export interface RelayEnd {
  readonly stream: Duplex;
  readonly reader?: PooledReader | undefined;
  /** Settles when what was written can't be lost any more by what the stream goes through; without it, the kernel sees to that. */
  readonly letGo?: Promise<unknown> | undefined;
}

/** A target whose network is gone is noticed within some minutes of silence. */
const KEEPALIVE_DELAY_MS = 60_000;

/** What a stream of `options` needs to be a fast relay end. */
export interface PooledSocketOptions {
  readonly reader: PooledReader;
  readonly options: Pick<
    net.TcpSocketConnectOpts,
    "onread" | "noDelay" | "keepAlive" | "keepAliveInitialDelay"
  > & {
    readonly allowHalfOpen: true;
  };
}

/** Options for `net.connect`, and the reader that belongs to them. */
export function pooledSocketOptions(): PooledSocketOptions {
  const reader = new PooledReader(readPool);
  return {
    reader,
    options: {
      onread: reader.onread,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
    },
  };
}

/** What Node does not document: the handle can be moved from one socket to another that is made with `onread`. */
interface SocketInternals {
  _handle?: object | null;
}

/**
 * The accepted (paused) `socket` as a relay end. Accepted sockets can't be given `onread`, so the handle moves to a
 * socket that has it; `socket` itself is dead from then on. Where a Node version does not allow that, `socket` is
 * relayed through its stream: slower, the same bytes.
 */
export function relayEndOfAccepted(socket: net.Socket): RelayEnd {
  const internals = socket as SocketInternals;
  const handle = internals._handle;
  if (socket.destroyed || handle === null || typeof handle !== "object") return { stream: socket };
  const { reader, options } = pooledSocketOptions();
  const moved = { ...options, handle, pauseOnCreate: true } as net.SocketConstructorOpts;
  let stream: net.Socket;
  try {
    stream = new net.Socket(moved);
  } catch {
    return { stream: socket };
  }
  if ((stream as SocketInternals)._handle !== handle) {
    stream.destroy();
    return { stream: socket };
  }
  internals._handle = null;
  socket.destroy();
  return { stream, reader };
}
