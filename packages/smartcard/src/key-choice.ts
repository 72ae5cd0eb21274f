import { CodedError, harmless } from "@farside/protocol";

import { type TokenPublicKey, toPublicKey } from "./public-key.ts";
import type { ObjectFacts, TokenFacts } from "./signer-messages.ts";
import { describeToken } from "./token-choice.ts";

/** A key on a token that may log in. */
export interface CardKey {
  readonly publicKey: TokenPublicKey;
  /** CKA_ID. */
  readonly id: Uint8Array;
  /** Safe to print. */
  readonly label: string;
  /** Whether each signature needs the PIN (CKA_ALWAYS_AUTHENTICATE); undefined until a login shows it. */
  readonly alwaysAuthenticate: boolean | undefined;
}

/** Which key is meant; what is absent fits any. */
export interface KeyWish {
  /** `--key`: CKA_ID in hexadecimal, a label, or a PIV slot (`9a`). */
  readonly key?: string | undefined;
  /** CKA_ID of a pkcs11: URI. */
  readonly id?: Uint8Array | undefined;
  /** CKA_LABEL of a pkcs11: URI. */
  readonly object?: string | undefined;
}

/** OpenSC numbers the PIV slots. */
const pivIds: Readonly<Record<string, string>> = { "9a": "01", "9c": "02", "9d": "03", "9e": "04" };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

interface KeyObjects {
  readonly id: Uint8Array;
  readonly objects: readonly ObjectFacts[];
}

/** Public key, certificate and private key of one key share an id. */
function groupById(objects: readonly ObjectFacts[]): KeyObjects[] {
  const groups = new Map<string, ObjectFacts[]>();
  for (const object of objects) {
    const id = hex(object.id);
    groups.set(id, [...(groups.get(id) ?? []), object]);
  }
  return [...groups.values()].map((group) => ({ id: group[0]?.id ?? Buffer.alloc(0), objects: group }));
}

function toCardKey({ id, objects }: KeyObjects): CardKey | undefined {
  const shown = [
    ...objects.filter(({ kind }) => kind === "public"),
    ...objects.filter(({ kind }) => kind === "certificate"),
  ];
  for (const object of shown) {
    const publicKey = toPublicKey(object);
    if (publicKey === undefined) continue;
    const secret = objects.find(
      ({ kind, keyType }) => kind === "private" && (keyType === undefined || keyType === publicKey.keyType),
    );
    return { publicKey, id, label: harmless(object.label), alwaysAuthenticate: secret?.alwaysAuthenticate };
  }
  return undefined;
}

/**
 * The keys that can sign a login, preferred first: those that need the PIN for each signature come last, else by id. Before a login
 * private keys are hidden, and a public key that verifies counts.
 */
export function usableKeys(objects: readonly ObjectFacts[]): CardKey[] {
  const groups = groupById(objects);
  const hasPrivate = objects.some(({ kind }) => kind === "private");
  const canSign = ({ objects }: KeyObjects): boolean =>
    hasPrivate
      ? objects.some(({ kind, canSign }) => kind === "private" && canSign !== false)
      : objects.some(({ kind, canSign }) => kind !== "public" || canSign !== false);
  const isRuledOut = ({ objects }: KeyObjects): boolean =>
    !hasPrivate && objects.some(({ kind, canSign }) => kind === "public" && canSign === false);
  const keys = groups
    .filter((group) => canSign(group) && !isRuledOut(group))
    .flatMap((group) => toCardKey(group) ?? []);
  // Modules list objects in any order: the id makes it the same every time.
  const rank = (key: CardKey): string => `${key.alwaysAuthenticate === true ? 1 : 0} ${hex(key.id)}`;
  return keys.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** The keys of `objects` that fit `wish`, preferred first; empty where none does. */
export function fittingKeys(objects: readonly ObjectFacts[], wish: KeyWish, token: TokenFacts): CardKey[] {
  const keys = usableKeys(objects);
  const labelled = (label: string): CardKey[] =>
    keys.filter(({ id }) => objects.some((o) => hex(o.id) === hex(id) && o.label.trim() === label.trim()));
  const withId = (id: string): CardKey[] => keys.filter((key) => hex(key.id) === id.toLowerCase());
  let fitting = keys;
  if (wish.id !== undefined) fitting = withId(hex(wish.id));
  if (wish.object !== undefined) {
    const named = labelled(wish.object);
    fitting = fitting.filter((key) => named.includes(key));
  }
  if (wish.key === undefined) return fitting;
  const byId = withId(wish.key.replaceAll(":", ""));
  const byLabel = byId.length > 0 ? byId : labelled(wish.key);
  const pivId = token.manufacturer === "piv_II" ? pivIds[wish.key.toLowerCase()] : undefined;
  const named = byLabel.length > 0 || pivId === undefined ? byLabel : withId(pivId);
  return fitting.filter((key) => named.includes(key));
}

/** For a token of which no key fits. */
export function noKeyError(objects: readonly ObjectFacts[], wish: KeyWish, token: TokenFacts): CodedError {
  const keys = usableKeys(objects);
  const isWish = wish.key !== undefined || wish.id !== undefined || wish.object !== undefined;
  if (keys.length === 0 || !isWish) {
    return new CodedError("card.no-key", `${describeToken(token)} has no key that can log in`, {
      leg: "card",
      hint: "an RSA, P-256, P-384, P-521 or Ed25519 key that may sign is needed; see: farside card keys",
    });
  }
  const wanted = wish.key ?? wish.object ?? hex(wish.id ?? Buffer.alloc(0));
  const list = keys.map(({ id, label }) => `${hex(id)} "${label}"`).join(", ");
  return new CodedError("card.no-key", `${describeToken(token)} has no key ${harmless(wanted)}`, {
    leg: "card",
    hint: `it has ${list}`,
  });
}
