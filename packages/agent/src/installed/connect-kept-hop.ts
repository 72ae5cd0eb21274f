import { CodedError, type HopIdentity, type InstalledForward, type InstalledHop } from "@farside/protocol";
import { PinnedHostKeys } from "@farside/ssh";
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
  return async (declaration, previous, { signal, onSigning, admit }) => {
    const hop = find(declaration.hopId);
    if (hop === undefined)
      throw new CodedError("hop.lost", `${declaration.host} is no hop any more`, { leg: "hop" });
    const { fingerprints } = hop;
    const hostKeys = new PinnedHostKeys(declaration.hostKeys, fingerprints);
    const { identity } = hop;
    if (identity.kind !== "attached") {
      return withOwnIdentity(identity, { home, environment: process.env }, (own) =>
        connectHopAs({ hop: declaration, previous, identity: own, hostKeys, fingerprints, signal, admit }),
      );
    }
    const { peer, publicKeys } = await lent.for(hop.hopId, {
      signal,
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
      signal,
      admit,
    };
    return connectHopWhenReady(options, { isFirst: false });
  };
}
