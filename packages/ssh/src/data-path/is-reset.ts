import type { Socket } from "node:net";

/** What Node.js does not document. */
interface Internals {
  readonly _handle?: { readonly getpeername?: (out: object) => number } | null;
}

/** Whether the other side has reset `socket`; an end of its writing does not count. Undefined where it can't be known. */
export function isReset(socket: Socket): boolean | undefined {
  const handle = (socket as unknown as Internals)._handle;
  return typeof handle?.getpeername === "function" ? handle.getpeername({}) !== 0 : undefined;
}
