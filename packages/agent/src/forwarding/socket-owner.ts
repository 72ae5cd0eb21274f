import { TCP_STATE } from "./proc-net-tcp.ts";

/** An accepted connection, as our side of it sees it. */
export interface ConnectionAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * Who holds the client's socket of a connection: a uid; `released`: it is there, but its owner has closed it (it then
 * says uid 0, inode 0); `missing`: there is no such socket.
 */
export type SocketOwner = number | "released" | "missing";

/** Says whose the client's socket of a local TCP connection is. Asked only after the connection was accepted. */
export interface SocketOwners {
  /** At once where it can. Throws or rejects where it can't answer, now and ever after. */
  ownerOf(addresses: ConnectionAddresses): SocketOwner | Promise<SocketOwner>;
  /** Releases everything; what still waits is answered or rejected. Idempotent. */
  close(): Promise<void>;
}

/** States in which a client's socket still belongs to the client: connected, or closed for writing only. */
const OWNED_STATES: ReadonlySet<number> = new Set([
  TCP_STATE.established,
  TCP_STATE.finWait1,
  TCP_STATE.finWait2,
]);

/** What the kernel says of a socket, as the answer. */
export function ownerFrom(socket: { state: number; uid: number; inode: number }): SocketOwner {
  return socket.inode !== 0 && OWNED_STATES.has(socket.state) ? socket.uid : "released";
}
