import type { AbortOptions } from "./abort-options.ts";
import type { CardEvents } from "./card-events.ts";
import { CardIdentity } from "./card-identity.ts";
import { type CardDeadlines, defaultDeadlines } from "./deadlines.ts";
import { fittingKeys, type KeyWish } from "./key-choice.ts";
import { needsLogin, type PinSource } from "./pin.ts";
import { type Pkcs11Uri, parsePkcs11Uri } from "./pkcs11-uri.ts";
import { resolveProviderPath } from "./provider-path.ts";
import type { TokenFacts } from "./signer-messages.ts";
import type { SignerProcessOptions } from "./signer-process.ts";
import { ambiguousTokens, fittingTokens, type TokenWish } from "./token-choice.ts";
import { TokenSession, type TokenSessionOptions } from "./token-session.ts";

/** Which module, and how its process runs. */
export interface ProviderOptions
  extends Partial<SignerProcessOptions>,
    Pick<TokenSessionOptions, "startSigner"> {
  /** Absolute path of the PKCS#11 module. Default: that of `uri`, else OpenSC's in the usual places. */
  readonly provider?: string | undefined;
  readonly deadlines?: Partial<CardDeadlines> | undefined;
}

/** Which token and which key. `token` and `key` win over what `uri` says. */
export interface CardChoice {
  /** A `pkcs11:` URI (RFC 7512). */
  readonly uri?: string | undefined;
  /** Label of the token. */
  readonly token?: string | undefined;
  /** CKA_ID in hexadecimal, a label, or a PIV slot such as `9a`. */
  readonly key?: string | undefined;
}

export interface OpenCardOptions extends ProviderOptions, CardChoice, AbortOptions {
  /** Borrowed: whoever made it closes it. */
  readonly pinSource: PinSource;
  /** `eager` (the default) asks for the PIN now, `on-sign` when the first signature is wanted. */
  readonly login?: "eager" | "on-sign" | undefined;
  /** Send an empty PIN for a reader's PIN pad to modules other than OpenSC too. */
  readonly pinPad?: boolean | undefined;
  readonly events?: CardEvents | undefined;
  /** How often to look whether the card is in; 0 for never. Default: 500. */
  readonly watchIntervalMs?: number | undefined;
  /** What a signature does that needs the card while it is out: `wait` for it, or `fail` (the default) with `card.removed`. */
  readonly whileRemoved?: "wait" | "fail" | undefined;
}

/** A PC/SC daemon takes up to a second to see a removal; it is to be known within two. */
const WATCH_INTERVAL_MS = 500;

export const sessionFor = (options: ProviderOptions, uri: Pkcs11Uri = {}): TokenSession =>
  new TokenSession({
    modulePath: resolveProviderPath(options.provider ?? uri.modulePath),
    deadlines: { ...defaultDeadlines, ...options.deadlines },
    env: options.env ?? process.env,
    passEnvironment: options.passEnvironment,
    signerEntry: options.signerEntry,
    startSigner: options.startSigner,
  });

/**
 * The identity on a card: finds the token and its keys (without a PIN, where the card shows them), then logs in. Rejects
 * with `card.*`, `config.invalid` (several cards fit) or `usage.invalid` (the URI), having let go of the card. The caller
 * closes it.
 */
export async function openCard(options: OpenCardOptions): Promise<CardIdentity> {
  const { signal, pinSource, events = {} } = options;
  const uri = options.uri === undefined ? {} : parsePkcs11Uri(options.uri);
  const keyWish: KeyWish =
    options.key === undefined ? { id: uri.id, object: uri.object } : { key: options.key };
  const session = sessionFor(options, uri);
  const card = new CardIdentity({
    ...{ session, keyWish, pinSource, events },
    allowAnyPinPad: options.pinPad ?? false,
    waitsForCard: options.whileRemoved === "wait",
    deadlines: { ...defaultDeadlines, ...options.deadlines },
  });
  const onAbort = (): void => void card.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    await chooseToken(session, { ...uri, token: options.token ?? uri.token }, keyWish);
    await card.prepare({ eager: options.login !== "on-sign", signal });
    const interval = options.watchIntervalMs ?? WATCH_INTERVAL_MS;
    if (interval > 0) card.watch(interval);
    return card;
  } catch (error) {
    await card.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Of several tokens that fit, the one that has a fitting key; more than one is an error that lists them. */
export async function chooseToken(session: TokenSession, wish: TokenWish, keyWish: KeyWish): Promise<void> {
  const tokens = fittingTokens(await session.tokens(), wish);
  if (tokens.length === 1) return session.choose(tokens[0]);
  const withKeys: TokenFacts[] = [];
  for (const token of tokens) {
    await session.choose(token);
    const objects = await session.objects();
    if (fittingKeys(objects, keyWish, token).length > 0) withKeys.push(token);
  }
  const candidates = withKeys.length > 0 ? withKeys : tokens.filter(needsLogin);
  const [only] = candidates;
  if (candidates.length > 1) throw ambiguousTokens(candidates);
  await session.choose(only ?? tokens[0]);
}
