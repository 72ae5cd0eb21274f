import { toCodedError } from "@farside/protocol";
import { type Check, type CheckName, failedCheck } from "./check.ts";

/** Looks, and tells a failure as that check: it ends nothing. Rejects where there is nothing more to ask, or with the signal's reason. */
export async function failureAsCheck(
  check: CheckName,
  look: () => Promise<void>,
  { onCheck, signal }: { readonly onCheck: (check: Check) => void; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await look();
  } catch (error) {
    signal.throwIfAborted();
    const coded = toCodedError(error);
    if (coded.code === "agent.gone" || coded.code === "hop.lost") throw coded;
    onCheck(failedCheck(coded.leg === "target" ? "target" : check, coded));
  }
}
