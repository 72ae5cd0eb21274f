import type { Check } from "@farside/orchestrator";
import { CodedError } from "@farside/protocol";
import {
  type CardChoice,
  type ListedToken,
  listKeys,
  listTokens,
  type ProviderOptions,
} from "@farside/smartcard";
import { times } from "../output/describe-event.ts";

/**
 * Looks at the card that would log in, without a PIN: its key, and the PIN tries that are left. Rejects with `card.*` where it can't log
 * in: also where only the last try is left, which a diagnosis never spends.
 */
export async function checkCard(
  choice: ProviderOptions & CardChoice & { readonly signal: AbortSignal },
): Promise<Check> {
  const { tokens } = await listTokens({ ...choice, withTries: true });
  const { keys, needsLogin } = await listKeys(choice);
  const [key] = keys;
  const label = key?.token ?? needsLogin[0];
  const token = tokens.find((candidate) => candidate.label === label);
  if (token === undefined || label === undefined)
    throw new CodedError("card.no-key", "looking at the card: it has no key that can log in", {
      leg: "card",
      hint: "See farside card keys.",
    });
  const place = `card ${JSON.stringify(label)} in ${token.reader}`;
  if (token.pin === "locked")
    throw new CodedError("card.pin-locked", `${place}: its PIN is locked`, {
      leg: "card",
      hint: "Unblock it with its PUK, in the tool of the card.",
    });
  if (token.pin === "last-try" || token.triesLeft === 1)
    throw new CodedError(
      "card.pin-last-try",
      `${place}: only one PIN try is left, and a diagnosis does not spend it`,
      {
        leg: "card",
        hint: "Set it back by a right PIN (farside card test asks before it takes the last try).",
      },
    );
  const shownKey =
    key === undefined
      ? "its keys are shown after the PIN"
      : `key ${key.id} ${JSON.stringify(key.label)} (${key.type})`;
  const tries = triesOf(token);
  const text = `${place}: ${shownKey}; ${tries}${token.pinPad ? ", typed on the reader" : ""}`;
  if (token.pin !== "low") return { check: "identity", outcome: "ok", text };
  const hint = "A wrong PIN has been tried: mind the next one.";
  return { check: "identity", outcome: "warning", text, hint };
}

function triesOf({ pin, triesLeft }: ListedToken): string {
  if (triesLeft !== undefined) return `${times(triesLeft, "PIN try", "PIN tries")} left`;
  return pin === "low" ? "few PIN tries left" : "PIN not locked";
}
