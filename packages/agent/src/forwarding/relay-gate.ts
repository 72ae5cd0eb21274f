import { readFileSync } from "node:fs";

/** Descriptors for everything but clients: control channel, listeners, hops, /proc. */
const RESERVED_DESCRIPTORS = 64;
const DESCRIPTORS_PER_RELAY = 2;
/** Accepted connections that wait for their admission or for a place. */
const MAX_WAITING = 4096;
/** Of the descriptors, what waiting connections may take. */
const WAITING_SHARE = 0.25;

/** Says what an agent has room for; shared by all its forwards, in whose sum it counts. */
export interface RelayGate {
  mayStart(openRelays: number): boolean;
  /** Whether a further accepted connection may wait; else it is reset. */
  mayWait(waiting: number): boolean;
}

/**
 * As many relays and waiting connections as the limit of open files allows: past it the kernel would close connections
 * unseen, and /proc could not be read. Relays start only while `isLeaseHeld`.
 */
export function relayGate(isLeaseHeld: () => boolean, descriptorLimit = readDescriptorLimit()): RelayGate {
  const forClients = Math.max(4, descriptorLimit - RESERVED_DESCRIPTORS);
  const mostWaiting = Math.min(MAX_WAITING, Math.floor(forClients * WAITING_SHARE));
  const mostRelays = Math.floor((forClients - mostWaiting) / DESCRIPTORS_PER_RELAY);
  return {
    mayStart: (openRelays) => openRelays < mostRelays && isLeaseHeld(),
    mayWait: (waiting) => waiting < mostWaiting,
  };
}

/** Node raises the soft limit to the hard one at its start. */
function readDescriptorLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
