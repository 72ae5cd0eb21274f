import { CodedError, type HopIdentity, type InstalledForward, type InstalledHop } from "@farside/protocol";
import { fingerprint, type Hop, PinnedHostKeys } from "@farside/ssh";
import { connectHopAs, connectHopWhenReady } from "../forwarding/connect-hop.ts";
import { delegatedIdentity } from "../forwarding/delegated-identity.ts";
import type { ConnectHop } from "../forwarding/shared-hop.ts";
import type { LentIdentities } from "./lent-identities.ts";
import { withOwnIdentity } from "./own-identity.ts";

/** A hop with what logs in to it. */
export interface KeptHop extends InstalledHop {
  readonly identity: HopIdentity;
}

/** The hops of `forwards`, by id. */
export function keptHops(forwards: readonly InstalledForward[]): Map<string, KeptHop> {
  return new Map(
    forwards.flatMap(({ route, identity }) =>
      route.map((hop): [string, KeptHop] => [hop.hopId, { ...hop, identity }]),
    ),
  );
}

export interface ConnectKeptHopOptions {
  readonly hop: (hopId: string) => KeptHop | undefined;
  readonly lent: LentIdentities;
  /** The home of the login, for `~/`. */
  readonly home: string;
  /** Hears when a hop starts to wait for somebody to attach, and when it no longer does. */
  readonly onWaiting: (hop: KeptHop, isWaiting: boolean) => void;
}

/**
 * Connects hops as an installed agent does: with a key of this host, with its ssh-agent, or with the identity of a
 * workstation that is attached, for which it waits. Only the configured host keys are accepted.
 */
export function connectKeptHop({ hop: find, lent, home, onWaiting }: ConnectKeptHopOptions): ConnectHop {
  /** By hop: the key that it showed, so that a host known by a fingerprint is asked for that one at once. */
  const shown = new Map<string, Uint8Array>();
  return async (declaration, previous, { onSigning, ...attempt }) => {
    const hop = find(declaration.hopId);
    if (hop === undefined)
      throw new CodedError("hop.lost", `${declaration.host} is no hop any more`, { leg: "hop" });
    const { fingerprints } = hop;
    const last = shown.get(hop.hopId);
    const known = last !== undefined && fingerprints.includes(fingerprint(last)) ? [last] : [];
    const hostKeys = new PinnedHostKeys([...declaration.hostKeys, ...known], fingerprints);
    const { identity } = hop;
    const remembered = async (connecting: Promise<Hop>): Promise<Hop> => {
      const connected = await connecting;
      shown.set(hop.hopId, connected.serverHostKey);
      return connected;
    };
    if (identity.kind !== "attached") {
      return withOwnIdentity(identity, { home, environment: process.env }, (own) =>
        remembered(
          connectHopAs({ hop: declaration, previous, identity: own, hostKeys, fingerprints, ...attempt }),
        ),
      );
    }
    const { peer, publicKeys } = await lent.for(hop.hopId, {
      signal: attempt.signal,
      onWaiting: (isWaiting) => {
        onSigning(isWaiting);
        onWaiting(hop, isWaiting);
      },
    });
    const delegated = delegatedIdentity({ ...declaration, publicKeys: [...publicKeys] }, peer, onSigning);
    const options = {
      hop: declaration,
      previous,
      identity: delegated,
      hostKeys,
      fingerprints,
      ...attempt,
    };
    return remembered(connectHopWhenReady(options, { isFirst: false }));
  };
}
