import { cardEvents, type ForwardOptions } from "@farside/orchestrator";
import { openCard, type PinSource, type SpareSigner } from "@farside/smartcard";
import type { IdentityChoice, IdentityWish } from "./choose-identity.ts";
import { openingIdentity } from "./opening-identity.ts";

/**
 * What logs in as a session takes it: the card's module is loaded while the jump host is dialled, by the spare signer where there is one (borrowed), and
 * the PIN asked for when it is needed.
 */
export function sessionIdentity(
  choice: IdentityChoice,
  wish: IdentityWish & { readonly "on-card-removal"?: "keep" | "wait" | "close" | undefined },
  pinSource: PinSource,
  spare?: SpareSigner | undefined,
): ForwardOptions["identity"] {
  if (choice.kind === "ssh") return choice.identity;
  const whileRemoved = wish["on-card-removal"] === "wait" ? "wait" : "fail";
  return async ({ emit }) =>
    openingIdentity("card", (signal) =>
      openCard({
        ...{ provider: choice.provider, uri: choice.uri, token: wish.token, key: wish.key, pinSource },
        ...{
          pinPad: wish["pin-pad"] ?? false,
          login: "on-sign",
          whileRemoved,
          startSigner: spare?.start,
          events: cardEvents(emit),
          signal,
        },
      }),
    );
}
