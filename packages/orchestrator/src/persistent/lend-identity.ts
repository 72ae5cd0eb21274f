import {
  CodedError,
  harmless,
  hopConnected,
  hopLost,
  type InstalledConfig,
  type InstalledHop,
  lendIdentity,
  on,
} from "@farside/protocol";
import { fingerprint, type Identity, type PublicKey } from "@farside/ssh";
import { delegatedReadiness } from "../delegated-readiness.ts";
import { delegatedSigning, formatHop, signEvent } from "../delegated-signing.ts";
import { type DeclaredHop, DestinationGuard } from "../destination-guard.ts";
import type { SessionEventDraft } from "../event-log.ts";
import type { BuildServer } from "./build-server.ts";
import type { HostPeer } from "./host-peer.ts";

/** Keys that one hop is offered: as many as the protocol takes. */
const MAX_OFFERED_KEYS = 16;

export interface LendOptions {
  readonly server: Pick<BuildServer, "attach">;
  /** The agent's control socket there. */
  readonly control: string;
  /** What this workstation has compiled itself: only for its hops is anything signed. Never what the host says. */
  readonly config: InstalledConfig;
  /** Borrowed. */
  readonly identity: Identity;
  readonly emit: (event: SessionEventDraft) => void;
  readonly signal: AbortSignal;
}

/** A channel to an installed agent that may ask for signatures, as long as it is open. */
export interface Loan extends AsyncDisposable {
  readonly agent: HostPeer;
  /** Hops of ours that waited for somebody when it began. */
  readonly waitingHops: readonly string[];
}

/** Hops of `config` that need an attached identity, each once. */
export function attachedHops({ forwards }: Pick<InstalledConfig, "forwards">): InstalledHop[] {
  const hops = forwards
    .filter(({ identity }) => identity.kind === "attached")
    .flatMap(({ route }) => route.map((hop): [string, InstalledHop] => [hop.hopId, hop]));
  return [...new Map(hops).values()];
}

/**
 * Lends the identity to an installed agent. The destination guard decides as in a session: a publickey login of a hop that this
 * workstation itself knows from its forwards.yaml and its known_hosts, on a connection that the hop's host key has signed.
 */
export async function lend(options: LendOptions): Promise<Loan> {
  const { server, control, config, identity, emit, signal } = options;
  const hops = attachedHops(config);
  const publicKeys = (await identity.publicKeys({ signal })).slice(0, MAX_OFFERED_KEYS);
  if (publicKeys.length === 0) throw new CodedError("identity.none", "there is no key to lend");
  const guard = new DestinationGuard({ onDecision: (decision) => emit(signEvent(decision)) });
  const declared = new Map(hops.map((hop) => [hop.hopId, declare(hop, publicKeys)]));
  for (const hop of declared.values()) guard.declare(hop);
  const byId = new Map(hops.map((hop) => [hop.hopId, hop]));
  const handlers = [delegatedSigning(guard, identity), delegatedReadiness(guard, identity)];
  const agent = await server.attach(control, {
    requests: handlers.map((handler) => ({
      name: handler.name,
      accept: (params, context) => {
        learn(params, { byId, declared, guard });
        return handler.accept(params, context);
      },
    })),
    events: [
      on(hopConnected, ({ hopId, hostKey }) => {
        const hop = byId.get(hopId);
        // One that this workstation does not know is none of its business, nor a key that it would not sign for.
        if (hop === undefined || !isKnownKey(hop, hostKey)) return;
        const { user, host, port } = hop;
        emit({ event: "hop.connected", leg: "hop", user, host, port, hostKey: fingerprint(hostKey) });
      }),
      on(hopLost, ({ hopId, error }) => {
        const hop = byId.get(hopId);
        if (hop !== undefined)
          emit({ event: "warning", message: `${formatHop(hop)}: ${harmless(error.message)}`, leg: "hop" });
      }),
    ],
  });
  const blobs = publicKeys.map(({ blob }) => Uint8Array.from(blob));
  const { waitingHops } = await agent.ask(
    lendIdentity,
    { hops: hops.map(({ hopId }) => ({ hopId, publicKeys: blobs })) },
    signal,
  );
  return { agent, waitingHops, [Symbol.asyncDispose]: () => agent.close() };
}

function declare(
  { hopId, user, host, port, hostKeys }: InstalledHop,
  publicKeys: readonly PublicKey[],
): DeclaredHop {
  return {
    ...{ hopId, user, host, port, publicKeys },
    hostKeys: hostKeys.map((key) => Buffer.from(key, "base64")),
  };
}

function isKnownKey({ hostKeys, fingerprints }: InstalledHop, hostKey: Uint8Array): boolean {
  return (
    hostKeys.includes(Buffer.from(hostKey).toString("base64")) || fingerprints.includes(fingerprint(hostKey))
  );
}

/** A host key of which the file has the fingerprint only is known once the host has shown it; the guard then wants its signature. */
function learn(
  params: unknown,
  {
    byId,
    declared,
    guard,
  }: { byId: Map<string, InstalledHop>; declared: Map<string, DeclaredHop>; guard: DestinationGuard },
): void {
  const { hopId, hostKey } = params as { hopId?: unknown; hostKey?: unknown };
  if (typeof hopId !== "string" || !(hostKey instanceof Uint8Array)) return;
  const [hop, known] = [byId.get(hopId), declared.get(hopId)];
  if (hop === undefined || known === undefined || !hop.fingerprints.includes(fingerprint(hostKey))) return;
  if (known.hostKeys.some((key) => Buffer.compare(key, hostKey) === 0)) return;
  const learned = { ...known, hostKeys: [...known.hostKeys, Uint8Array.from(hostKey)] };
  declared.set(hopId, learned);
  guard.declare(learned);
}
