import { tokenFlag } from "../pkcs11.ts";
import type { TokenFacts } from "../signer-messages.ts";

/** A token that wants a PIN, but for what `facts` says. */
export function tokenFacts(facts: Partial<TokenFacts> = {}): TokenFacts {
  return {
    slot: "0000000000000000",
    reader: "a reader",
    label: "token",
    manufacturer: "piv_II",
    model: "PKCS#15 emulated",
    serial: "0001",
    flags: tokenFlag.loginRequired | tokenFlag.tokenInitialized,
    minPinLength: 4,
    maxPinLength: 8,
    ...facts,
  };
}
