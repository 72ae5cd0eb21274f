import type net from "node:net";
import type { Duplex } from "node:stream";
import { readInto } from "@farside/ssh";
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

/**
 * The accepted (paused, never read) `socket` as a relay end. Where its reads can't be had, it is relayed through its
 * stream: slower, the same bytes.
 */
export function relayEndOfAccepted(socket: net.Socket): RelayEnd {
  const reader = new PooledReader(readPool);
  if (readInto(socket, reader.onread)) return { stream: socket, reader };
  reader.release();
  return { stream: socket };
}
