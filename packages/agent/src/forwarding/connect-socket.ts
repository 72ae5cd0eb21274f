import net from "node:net";
import { type CodedError, onAbort } from "@farside/protocol";
import { pooledSocketOptions, type RelayEnd } from "./relay-end.ts";

/** A connection that is being made. Nothing is called after `abandon()`, which releases it. */
export interface Connecting {
  abandon(): void;
}

export interface ConnectingEvents {
  /** Owned by the caller from now on: connected, paused. */
  readonly onConnected: (end: RelayEnd) => void;
  /** It was not made, and is released. */
  readonly onFailed: (error: Error) => void;
}

/** Starts to connect to `address`; exactly one of the events is told, later. Without a deadline of its own. */
export function startConnecting(address: net.NetConnectOpts, events: ConnectingEvents): Connecting {
  const { reader, options } = pooledSocketOptions();
  const socket = net.connect({ ...address, ...options });
  // Or it would read as soon as it is connected, before there is anybody to read for.
  socket.pause();
  let isSettled = false;
  socket.on("connect", () => {
    if (isSettled) return;
    isSettled = true;
    events.onConnected({ stream: socket, reader });
  });
  // It stays: between here and the relay an error must not end the process; the relay sees the closed stream.
  socket.on("error", (error) => {
    if (isSettled) return;
    isSettled = true;
    socket.destroy();
    events.onFailed(error);
  });
  return {
    abandon: () => {
      if (isSettled) return;
      isSettled = true;
      socket.destroy();
    },
  };
}

export interface ConnectOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Makes the error of a connection that took too long. */
  readonly tooSlow: () => CodedError;
}

/** Runs `start` until it has settled, the time is over or the signal aborts: then what it returned abandons it. */
export function connectWithin(
  { signal, timeoutMs, tooSlow }: ConnectOptions,
  start: (events: ConnectingEvents) => Connecting,
): Promise<RelayEnd> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const settle = () => {
      clearTimeout(timer);
      unlink();
    };
    const giveUp = (reason: unknown) => {
      settle();
      connecting.abandon();
      reject(reason);
    };
    const connecting = start({
      onConnected: (end) => {
        settle();
        resolve(end);
      },
      onFailed: (error) => {
        settle();
        reject(error);
      },
    });
    const timer = setTimeout(() => giveUp(tooSlow()), timeoutMs);
    const unlink = onAbort(signal, giveUp);
  });
}
