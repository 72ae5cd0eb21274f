import { CodedError, harmless } from "@farside/protocol";

import type { TokenFacts } from "./signer-messages.ts";

/** Which token is meant; what is absent fits any. Compared exactly. */
export interface TokenWish {
  readonly token?: string | undefined;
  readonly serial?: string | undefined;
  readonly manufacturer?: string | undefined;
  readonly model?: string | undefined;
}

export const describeToken = ({ label, serial, reader }: TokenFacts): string =>
  harmless(`"${label}" (serial ${serial || "none"}, in ${reader})`);

/** The tokens that fit, at least one. Rejects with `card.no-reader` or `card.no-token`. */
export function fittingTokens(
  { readers, tokens }: { readers: number; tokens: readonly TokenFacts[] },
  wish: TokenWish,
): readonly [TokenFacts, ...TokenFacts[]] {
  const fits = (wanted: string | undefined, actual: string): boolean =>
    wanted === undefined || wanted.trim() === actual;
  const [first, ...others] = tokens.filter(
    (token) =>
      fits(wish.token, token.label) &&
      fits(wish.serial, token.serial) &&
      fits(wish.manufacturer, token.manufacturer) &&
      fits(wish.model, token.model),
  );
  if (first !== undefined) return [first, ...others];
  if (tokens.length > 0) {
    throw new CodedError(
      "card.no-token",
      `no card has the token that was asked for (${describeWish(wish)})`,
      {
        leg: "card",
        hint: `there is ${tokens.map(describeToken).join(", ")}; see: farside card list`,
      },
    );
  }
  if (readers === 0) {
    throw new CodedError("card.no-reader", "cannot use a card: no card reader was found", {
      leg: "card",
      hint: "plug the reader in, and check that pcscd runs (systemctl status pcscd.socket)",
    });
  }
  throw new CodedError("card.no-token", "cannot use a card: none that the module can read is in a reader", {
    leg: "card",
    hint: "put the card in, and try: farside card list",
  });
}

const describeWish = (wish: TokenWish): string =>
  harmless(
    Object.entries(wish)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} "${value}"`)
      .join(", "),
  );

/** For several tokens that fit and have keys. */
export function ambiguousTokens(tokens: readonly TokenFacts[]): CodedError {
  return new CodedError(
    "config.invalid",
    `more than one card has keys: ${tokens.map(describeToken).join(", ")}`,
    { leg: "card", hint: "choose one with --token LABEL, or with a pkcs11: URI that has its serial" },
  );
}
