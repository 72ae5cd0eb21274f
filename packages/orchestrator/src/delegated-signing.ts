import { CodedError, handle, harmless, type RequestHandler, signWithIdentity } from "@farside/protocol";
import type { Identity } from "@farside/ssh";
import type { DestinationGuard, GuardDecision } from "./destination-guard.ts";
import type { SessionEventDraft } from "./event-log.ts";
import { formatHostPort } from "./forward-spec.ts";

/** `user@host:port` of a hop, as events name it. */
export function formatHop({ user, host, port }: { user: string; host: string; port: number }): string {
  return `${user}@${formatHostPort(host, port)}`;
}

/**
 * Answers the agent's `identity.sign`: what the guard accepts goes to the identity, everything else is refused with
 * `sign.refused`. The identity sees only bytes that the guard has judged.
 */
export function delegatedSigning(guard: DestinationGuard, identity: Pick<Identity, "sign">): RequestHandler {
  return handle(signWithIdentity, async (request, { signal }) => {
    const decision = guard.decide(request);
    if (decision.decision === "refused") {
      throw new CodedError(
        "sign.refused",
        `signing in to ${nameOf(decision)}: the destination guard refused it (${decision.reason})`,
        {
          leg: "hop",
          hint: "The jump host asked for a signature that is not for a declared hop. Nothing was signed.",
          data: { reason: decision.reason },
        },
      );
    }
    const { publicKey, algorithm, data } = decision;
    const proof = { hostKey: request.hostKey, signature: request.serverSignature };
    // The login is open, and its host counts: the agent asks again once the card is ready.
    const wanted = { publicKey, algorithm, data, proof, signal, failsWithoutCard: true };
    const signature = await identity.sign(wanted);
    return { signature: Uint8Array.from(signature) };
  });
}

/** The event that tells of a decision. */
export function signEvent(decision: GuardDecision): SessionEventDraft {
  const algorithm = harmless(decision.algorithm, 64);
  return {
    event: "sign",
    hop: nameOf(decision),
    algorithm,
    decision: decision.decision,
    reason: decision.reason,
  };
}

function nameOf({ hop }: GuardDecision): string {
  return hop === undefined ? "a hop that was not declared" : formatHop(hop);
}
