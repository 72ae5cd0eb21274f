import { CodedError, isCodedError, type Peer } from "@farside/protocol";
import { Hop, PinnedHostKeys } from "@farside/ssh";
import { delegatedIdentity } from "./delegated-identity.ts";
import type { ConnectHop } from "./shared-hop.ts";

/** Longer than the workstation may take for a signature. */
const AUTHENTICATION_TIMEOUT_MS = 330_000;

/**
 * Connects hops as the agent does: only a declared host key is accepted, every signature comes from the workstation, and
 * a host that lets us in without one (it may be anybody's) is refused with `hop.no-signature`.
 */
export function connectHopThrough(peer: Pick<Peer, "request">): ConnectHop {
  return async (hop, previous, signal, onSigning) => {
    const { user, host, port, connectTimeoutMs } = hop;
    return Hop.connect({
      user,
      host,
      port,
      leg: "hop",
      identity: delegatedIdentity(hop, peer, onSigning),
      hostKeys: new PinnedHostKeys(hop.hostKeys),
      requireSignature: true,
      dataPath: true,
      authenticationTimeoutMs: AUTHENTICATION_TIMEOUT_MS,
      connectTimeoutMs,
      signal,
      ...(previous === undefined ? {} : { dial: (dialSignal) => dialFrom(previous, host, port, dialSignal) }),
    });
  };
}

/** To `previous` the next hop is a target; to everybody else it is a hop. */
async function dialFrom(previous: Hop, host: string, port: number, signal: AbortSignal) {
  try {
    return await previous.dial(host, port, { signal });
  } catch (error) {
    if (!isCodedError(error) || error.leg !== "target") throw error;
    const code = error.code === "target.unreachable" ? "hop.unreachable" : error.code;
    throw new CodedError(code, error.message, { hint: error.hint, leg: "hop", cause: error });
  }
}
