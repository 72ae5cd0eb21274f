import { CodedError, handle, type RequestHandler, readyIdentity } from "@farside/protocol";
import type { Identity } from "@farside/ssh";
import type { DestinationGuard } from "./destination-guard.ts";

/**
 * Answers the agent's `identity.ready`, for declared hops alone and no more often than they may have a signature, as it may ask for the
 * PIN. Everything else is refused with `sign.refused`.
 */
export function delegatedReadiness(
  guard: DestinationGuard,
  identity: Pick<Identity, "ready">,
): RequestHandler {
  return handle(readyIdentity, async ({ hopId }, { signal }) => {
    const reason = guard.readyFault(hopId);
    if (reason !== undefined) {
      throw new CodedError(
        "sign.refused",
        `the destination guard refused to ready the identity (${reason})`,
        {
          leg: "hop",
          hint: "The jump host asked for it too often, or for no declared hop. Nothing was signed.",
          data: { reason },
        },
      );
    }
    await identity.ready({ signal });
    return {};
  });
}
