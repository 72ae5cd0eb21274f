import { harmless, isCodedError } from "@farside/protocol";
import { publicKeyLine } from "@farside/ssh";
import type { AbortOptions } from "./abort-options.ts";
import { type CardKey, fittingKeys } from "./key-choice.ts";
import { type CardChoice, type ProviderOptions, sessionFor } from "./open-card.ts";
import { hasPinPad, needsLogin, type PinState, pinState } from "./pin.ts";
import { pivTriesLeft } from "./piv-tries.ts";
import { parsePkcs11Uri } from "./pkcs11-uri.ts";

import type { TokenFacts } from "./signer-messages.ts";
import { fittingTokens } from "./token-choice.ts";
import type { TokenSession } from "./token-session.ts";

/** A card as `farside card list` shows it. All text is safe to print. */
export interface ListedToken {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly reader: string;
  readonly pin: PinState;
  readonly pinPad: boolean;
  /** PIN tries left, where that was asked for and the card says it (PIV). */
  readonly triesLeft?: number;
  /** The keys that can log in, where that was asked for; none where the card shows them only after the PIN. */
  readonly keys?: readonly Omit<ListedKey, "token" | "authorizedKeysLine">[];
}

/** A key as `farside card keys` shows it. */
export interface ListedKey {
  readonly token: string;
  /** CKA_ID, hexadecimal. */
  readonly id: string;
  readonly label: string;
  readonly type: string;
  /** Its line for authorized_keys. */
  readonly authorizedKeysLine: string;
}

/**
 * What is in the readers, or of that what has the label `token`. No card is not an error here; a module that can't be loaded is, and
 * a label that no card has (`card.no-token`). `withTries` also asks each card how many PIN tries are left, which costs none, and
 * `withKeys` which keys it shows without one, or which of them `key` names.
 */
export async function listTokens(
  options: ProviderOptions &
    Pick<CardChoice, "token" | "key"> &
    AbortOptions & { readonly withTries?: boolean; readonly withKeys?: boolean } = {},
): Promise<{ readers: number; tokens: ListedToken[] }> {
  return withSession(sessionFor(options), options, async (session) => {
    const { readers, tokens } = await session.tokens();
    const wanted = tokens.length === 0 ? [] : fittingTokens({ readers, tokens }, { token: options.token });
    const listed: ListedToken[] = [];
    for (const token of wanted) {
      const triesLeft =
        options.withTries === true ? await pivTriesLeft(token, options.env ?? process.env) : undefined;
      const keys = options.withKeys === true ? await shownKeys(session, token, options.key) : undefined;
      listed.push({
        ...toListedToken(token),
        ...(triesLeft !== undefined && { triesLeft }),
        ...(keys && { keys }),
      });
    }
    return { readers, tokens: listed };
  });
}

/**
 * The keys that can log in, of every card or of the chosen one, without a PIN: a card that hides its public keys shows
 * none, and `needsLogin` names it.
 */
export async function listKeys(
  options: ProviderOptions & CardChoice & AbortOptions = {},
): Promise<{ keys: ListedKey[]; needsLogin: string[] }> {
  const uri = options.uri === undefined ? {} : parsePkcs11Uri(options.uri);
  return withSession(sessionFor(options, uri), options, async (session) => {
    const wish = { ...uri, token: options.token ?? uri.token };
    const keyWish = options.key === undefined ? { id: uri.id, object: uri.object } : { key: options.key };
    const keys: ListedKey[] = [];
    const hidden: string[] = [];
    for (const token of fittingTokens(await session.tokens(), wish)) {
      await session.choose(token);
      const found = fittingKeys(await session.objects(), keyWish, token);
      keys.push(...found.map((key) => toListedKey(key, token)));
      if (found.length === 0 && needsLogin(token)) hidden.push(harmless(token.label));
    }
    return { keys, needsLogin: hidden };
  });
}

/** Undefined where the card can't be read or went: the others are listed all the same. */
async function shownKeys(
  session: TokenSession,
  token: TokenFacts,
  key: string | undefined,
): Promise<ListedToken["keys"]> {
  try {
    await session.choose(token);
    const keys = fittingKeys(await session.objects(), { key }, token);
    return keys.map((key) => {
      const { id, label, type } = toListedKey(key, token);
      return { id, label, type };
    });
  } catch (error) {
    if (isCodedError(error) && (error.code === "card.failed" || error.code === "card.removed"))
      return undefined;
    throw error;
  }
}

async function withSession<Result>(
  session: TokenSession,
  { signal }: AbortOptions,
  use: (session: TokenSession) => Promise<Result>,
): Promise<Result> {
  const onAbort = (): void => void session.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    return await use(session);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await session.close();
  }
}

const toListedToken = (token: TokenFacts): ListedToken => ({
  label: harmless(token.label),
  serial: harmless(token.serial),
  manufacturer: harmless(token.manufacturer),
  model: harmless(token.model),
  reader: harmless(token.reader),
  pin: pinState(token),
  pinPad: hasPinPad(token),
});

const toListedKey = ({ id, label, publicKey }: CardKey, token: TokenFacts): ListedKey => ({
  token: harmless(token.label),
  id: Buffer.from(id).toString("hex"),
  label,
  type: publicKey.type,
  authorizedKeysLine: publicKeyLine(publicKey),
});
