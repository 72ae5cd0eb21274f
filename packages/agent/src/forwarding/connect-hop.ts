import { CodedError, type HopDeclaration, isCodedError, type Peer } from "@farside/protocol";
import { connectByFingerprint, type Hop, type HopOptions, type Identity, PinnedHostKeys } from "@farside/ssh";
import { delegatedIdentity } from "./delegated-identity.ts";
import type { ConnectHop } from "./shared-hop.ts";

/** Longer than the workstation may take for a signature. */
const AUTHENTICATION_TIMEOUT_MS = 330_000;

export interface ConnectHopAsOptions {
  readonly hop: Pick<HopDeclaration, "user" | "host" | "port" | "connectTimeoutMs">;
  readonly previous: Hop | undefined;
  /** Borrowed. */
  readonly identity: Identity;
  readonly hostKeys: PinnedHostKeys;
  /** Of keys that the host may have: it is asked for each of its keys until there is one of them. Default: none. */
  readonly fingerprints?: readonly string[] | undefined;
  readonly signal: AbortSignal;
  /** Waited for before the host is dialled. */
  readonly admit: () => Promise<void>;
  /** Told of each connection that was broken off for a host key that is none of `fingerprints`, but for the last. */
  readonly onBrokenOff: (error: CodedError) => void;
}

/** Connects a hop as agents do; one that lets us in without a signature (it may be anybody's) is refused with `hop.no-signature`. */
export async function connectHopAs(options: ConnectHopAsOptions): Promise<Hop> {
  const { hop, previous, identity, hostKeys, signal } = options;
  const { user, host, port, connectTimeoutMs } = hop;
  await options.admit();
  const hopOptions: HopOptions = {
    ...{ user, host, port, leg: "hop", identity, hostKeys, connectTimeoutMs, signal },
    requireSignature: true,
    dataPath: true,
    authenticationTimeoutMs: AUTHENTICATION_TIMEOUT_MS,
    ...(previous === undefined ? {} : { dial: (dialSignal) => dialFrom(previous, host, port, dialSignal) }),
  };
  return connectByFingerprint(hopOptions, options.fingerprints, options.onBrokenOff);
}

/**
 * As `connectHopAs`, with an identity that may have to be waited for: before the hop is dialled, as that charges a login that waits. `isFirst`: it
 * has just signed, and is asked only where it then does not sign, which spares a round trip.
 */
export async function connectHopWhenReady(
  options: ConnectHopAsOptions,
  { isFirst }: { isFirst: boolean },
): Promise<Hop> {
  const { identity, signal } = options;
  if (!isFirst) await identity.ready({ signal });
  try {
    return await connectHopAs(options);
  } catch (error) {
    if (!isFirst || !isCodedError(error) || error.code !== "card.removed") throw error;
    return connectHopWhenReady(options, { isFirst: false });
  }
}

/** Connects hops as the agent of a session does: only a declared host key is accepted, every signature comes from the workstation. */
export function connectHopThrough(peer: Pick<Peer, "request">): ConnectHop {
  const dialled = new WeakSet<HopDeclaration>();
  return (hop, previous, { onSigning, ...attempt }) => {
    const isFirst = !dialled.has(hop);
    dialled.add(hop);
    const hostKeys = new PinnedHostKeys(hop.hostKeys);
    const identity = delegatedIdentity(hop, peer, onSigning);
    const { fingerprints } = hop;
    return connectHopWhenReady({ hop, previous, identity, hostKeys, fingerprints, ...attempt }, { isFirst });
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
