import net from "node:net";
import { isReset } from "@farside/ssh";
import type { PeerUidLookup } from "./peer-uid.ts";
import type { ConnectionAddresses } from "./socket-owner.ts";

export type AdmissionDecision =
  | { readonly isAdmitted: true /** -1 where it isn't known. */; readonly uid: number }
  | {
      readonly isAdmitted: false;
      readonly uid: number;
      readonly reason: "other-user" | "unknown-user";
      readonly hint: string;
    };

export interface AdmissionOptions {
  /** Uids that may connect, the agent's own among them. */
  readonly allowedUids: ReadonlySet<number>;
  readonly allowAnyUser: boolean;
  readonly lookup: PeerUidLookup;
  /** A user's name for the hint. */
  readonly nameOf: (uid: number) => Promise<string>;
}

/** Decides who may use a forward's listener; at once where it can. */
export type Admit = (socket: net.Socket) => AdmissionDecision | Promise<AdmissionDecision>;

/** Admits everybody whom the kernel lets connect: for unix sockets (0600) and for addresses that other hosts reach. */
export const admitAll: Admit = () => ({ isAdmitted: true, uid: -1 });

/**
 * The check for loopback TCP listeners. Reads nothing from the connection: until it has decided, not a byte goes on. It
 * decides by the owner of the client's socket and then makes sure that the connection still is the one that was looked
 * up: a client that has reset it leaves its addresses free for a connection of somebody else's.
 */
export function admitByUid({ allowedUids, allowAnyUser, lookup, nameOf }: AdmissionOptions): Admit {
  if (allowAnyUser) return admitAll;
  const decide = (socket: net.Socket, uid: number | undefined) => {
    if (uid === undefined || !isStillConnected(socket)) return unknownUser;
    return allowedUids.has(uid) ? { isAdmitted: true as const, uid } : otherUser(uid, nameOf);
  };
  return (socket) => {
    const addresses = addressesOf(socket);
    const uid = addresses === undefined ? undefined : lookup.uidOf(addresses);
    return typeof uid === "object" ? uid.then((found) => decide(socket, found)) : decide(socket, uid);
  };
}

const unknownUser: AdmissionDecision = {
  isAdmitted: false,
  uid: -1,
  reason: "unknown-user",
  hint: "Whose connection it was can't be told: the client closed it at once, or the host hides /proc/net/tcp. --allow-any-user admits all users of the jump host.",
};

async function otherUser(uid: number, nameOf: AdmissionOptions["nameOf"]): Promise<AdmissionDecision> {
  const name = await nameOf(uid);
  return {
    isAdmitted: false,
    uid,
    reason: "other-user",
    hint: `Another user connected. --allow-user ${/^uid /.test(name) ? uid : name} admits that one, --allow-any-user all users of the jump host.`,
  };
}

function addressesOf(socket: net.Socket): ConnectionAddresses | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || localPort === undefined) return undefined;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return { localAddress, localPort, remoteAddress, remotePort };
}

/**
 * Whether the client has not reset `socket`, as far as that can be known: the check only closes a gap that needs a reused
 * port. An end of its writing does not count.
 */
export function isStillConnected(socket: net.Socket): boolean {
  return !socket.destroyed && isReset(socket) !== true;
}

/** Whether only this host reaches `address`, so that a client's uid can be looked up. */
export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || (net.isIPv4(address) && address.startsWith("127."));
}
