import { homedir } from "node:os";
import { resolve } from "node:path";
import type { IdentityChoice, IdentityWish } from "./choose-identity.ts";

/** What a session's record keeps of its identity: enough to open the same one again, from any folder. No secrets. */
export function noteOf(choice: IdentityChoice, wish: IdentityWish): Record<string, string> {
  if (choice.kind === "ssh") {
    const { identity } = choice;
    if (identity === undefined) return {};
    return { identity: identity === "agent" ? identity : resolve(identity.replace(/^~(?=\/)/, homedir())) };
  }
  const { provider, uri } = choice;
  const { token, key, "pin-pad": pinPad } = wish;
  return {
    identity: uri ?? "card",
    // A module without a folder is for the system to find.
    ...(provider && { "pkcs11-provider": provider.includes("/") ? resolve(provider) : provider }),
    ...(token && { token }),
    ...(key && { key }),
    ...(pinPad && { "pin-pad": "yes" }),
  };
}

/** The options that choose an identity; the others only say how to use it. */
const chosenBy = ["identity", "pkcs11-provider", "token", "key"] as const;

/** The wish that a note says; what is given on the command line now wins as a whole. */
export function wishOf(note: Readonly<Record<string, string>>, now: IdentityWish): IdentityWish {
  const isGiven = chosenBy.some((option) => now[option] !== undefined);
  if (isGiven) return now;
  const { "pin-source": pinSource, "pin-pad": pinPad } = now;
  return {
    identity: note["identity"],
    "pkcs11-provider": note["pkcs11-provider"],
    token: note["token"],
    key: note["key"],
    "pin-pad": pinPad ?? (note["pin-pad"] === "yes" ? true : undefined),
    "pin-source": pinSource,
  };
}
