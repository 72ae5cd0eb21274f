import type net from "node:net";
import type { BindAddress } from "@farside/protocol";

/**
 * Takes an accepted connection over: paused, half-close allowed. `peer` is the client's address for events,
 * `127.0.0.1:54321`, or `unix`.
 */
export type OnConnection = (socket: net.Socket, peer: string) => void;

export interface ListenerOptions {
  readonly onConnection: OnConnection;
  /** The listener goes on after such an error. */
  readonly onError: (error: Error) => void;
  /** Another process may go on with its sockets one day; see `Listener.release`. Default false. */
  readonly isHandedOn?: boolean | undefined;
}

/** What accepts. Born listening, on every address of `bound`; whoever opened it closes it. */
export interface Listener extends AsyncDisposable {
  readonly bound: readonly BindAddress[];
  /** Whether only processes of this host reach it by TCP, so that their users can be told apart. */
  readonly isLoopback: boolean;
  /** Of the listening sockets, for a process that goes on with them; -1 where this system has none. */
  readonly descriptors: readonly number[];
  /** Stops accepting; accepted connections stay. Idempotent. */
  close(): Promise<void>;
  /** The same where another process goes on with the sockets, for listeners that were opened to be handed on: what they are called stays, without a gap. */
  release(): Promise<void>;
}
