import {
  type OpenForwardParams,
  type OrchestratorHello,
  openForward,
  openingFrames,
  orchestratorHello,
  PROTOCOL_VERSIONS,
} from "@farside/protocol";
import type { DeclaredHop } from "./destination-guard.ts";

/** What an agent is told of its session, whatever version of the protocol is spoken. */
export type OurHello = Omit<OrchestratorHello, "protocol" | "capabilities">;

/** A forward as the agent is asked for it, with hops as the guard knows them. */
export interface ForwardRequest extends Omit<OpenForwardParams, "route"> {
  readonly route: readonly DeclaredHop[];
}

/**
 * What goes to an agent behind its bundle: our hello, in the newest version of the protocol, which the agent that is sent speaks, and the first
 * forward. The link that is made then has the same as its `opening`.
 */
export function encodeOpening(hello: OurHello, forward: ForwardRequest): Buffer {
  const told = { ...hello, protocol: PROTOCOL_VERSIONS.max, capabilities: [] };
  return openingFrames(orchestratorHello, told, openForward, forwardParams(forward));
}

/** What the agent is asked. */
export function forwardParams(forward: ForwardRequest): OpenForwardParams {
  return { ...forward, route: declarations(forward.route) };
}

/** `route` as the agent is told it. */
export function declarations(route: readonly DeclaredHop[]): OpenForwardParams["route"] {
  return route.map(({ hopId, user, host, port, hostKeys, fingerprints = [], publicKeys }) => ({
    ...{ hopId, user, host, port },
    hostKeys: [...hostKeys],
    ...(fingerprints.length > 0 && { fingerprints: [...fingerprints] }),
    publicKeys: publicKeys.map(({ blob }) => blob),
  }));
}
