import { readFileSync } from "node:fs";

/** Descriptors for everything but relays: control channel, listeners, hops, /proc. */
const RESERVED_DESCRIPTORS = 128;
const DESCRIPTORS_PER_RELAY = 2;

/** Says whether a relay may start now; shared by all forwards of an agent. */
export interface RelayGate {
  /** `openRelays`: of the whole agent. */
  mayStart(openRelays: number): boolean;
}

/** As many relays as the limit of open files allows, and only while `isLeaseHeld`. */
export function relayGate(isLeaseHeld: () => boolean, descriptorLimit = readDescriptorLimit()): RelayGate {
  const most = Math.max(1, Math.floor((descriptorLimit - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_RELAY));
  return { mayStart: (openRelays) => openRelays < most && isLeaseHeld() };
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
