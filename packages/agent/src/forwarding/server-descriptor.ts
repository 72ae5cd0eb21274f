import type net from "node:net";

/** The descriptor of a listening socket, which Node.js does not document; -1 where it has none. */
export function descriptorOf(server: net.Server): number {
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  return typeof handle?.fd === "number" ? handle.fd : -1;
}
