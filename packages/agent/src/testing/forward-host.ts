import { once } from "node:events";
import type { OpenForwardParams } from "@farside/protocol";
import { ForwardTable } from "../forwarding/forward-table.ts";
import { relayGate } from "../forwarding/relay-gate.ts";
import { RoutePool } from "../forwarding/route-pool.ts";
import { connect } from "./tcp.ts";

export const ownUid = process.getuid?.() ?? 0;

/** An agent's forwards, without the agent. */
export interface ForwardHost extends AsyncDisposable {
  readonly forwards: ForwardTable;
  /** How many relays were open, each time that it changed. */
  readonly openCounts: readonly number[];
  /** The data of the events of that name, in order. */
  named(name: string): Record<string, unknown>[];
}

/** Its hops never connect. */
export function forwardHost({ isLeaseHeld = (): boolean => true, uid = ownUid } = {}): ForwardHost {
  const events: { readonly name: string; readonly data: Record<string, unknown> }[] = [];
  const openCounts: number[] = [];
  const routes = new RoutePool({
    connect: async (_hop, _previous, { signal }) => {
      await once(signal, "abort");
      throw signal.reason;
    },
    onConnected: () => {},
    onLost: () => {},
  });
  const forwards = new ForwardTable({
    ...{ uid, routes, gate: relayGate(isLeaseHeld) },
    emit: (definition, data) => events.push({ name: definition.name, data: data as Record<string, unknown> }),
    onRelaysChanged: (open) => openCounts.push(open),
  });
  return {
    ...{ forwards, openCounts },
    named: (name) => events.filter((event) => event.name === name).map(({ data }) => data),
    [Symbol.asyncDispose]: () => forwards[Symbol.asyncDispose](),
  };
}

/** Forward `1`, from a free loopback port to `service`. */
export function forwardTo(
  service: { readonly port: number },
  changes: Partial<OpenForwardParams> = {},
): OpenForwardParams {
  return {
    forwardId: "1",
    bind: { kind: "loopback", port: 0 },
    target: { kind: "tcp", host: "127.0.0.1", port: service.port },
    route: [],
    admission: { allowUsers: [], allowAnyUser: false },
    maxRelays: 0,
    ...changes,
  };
}

/** Opens it; its port. */
export async function openForward(
  forwards: ForwardTable,
  service: { readonly port: number },
  changes: Partial<OpenForwardParams> = {},
): Promise<number> {
  const [bound] = await forwards.open(forwardTo(service, changes), new AbortController().signal);
  return bound?.kind === "tcp" ? bound.port : 0;
}

export const clientOf = (port: number) => connect({ host: "127.0.0.1", port });
