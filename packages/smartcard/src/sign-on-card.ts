import { CodedError, MAX_SIGN_DATA_BYTES } from "@farside/protocol";
import { isSignatureAlgorithmOf, signatureBlob, verifySignature } from "@farside/ssh";
import type { CardDeadlines } from "./deadlines.ts";
import type { CardKey } from "./key-choice.ts";
import { planSignature, toSshSignature } from "./signature.ts";
import type { TokenSession } from "./token-session.ts";

export interface SignOnCard {
  readonly session: TokenSession;
  readonly key: CardKey;
  readonly algorithm: string;
  readonly data: Uint8Array;
  readonly deadlines: CardDeadlines;
  /** It takes longer than a second. */
  onWaiting(): void;
  /** Runs a signature that needs the PIN for itself, with it. */
  withPin(use: (pin: string) => Promise<Uint8Array>): Promise<Uint8Array>;
}

/** One signature by the card, as SSH has it. Rejects with `card.failed` where it is wrong, and with what the module fails with. */
export async function signOnCard(options: SignOnCard): Promise<Uint8Array> {
  const { session, key, algorithm, data, deadlines, onWaiting, withPin } = options;
  const { mechanisms } = session;
  const { publicKey, id } = key;
  const plan = planSignature(algorithm, data, { mechanisms, modulusBytes: publicKey.modulusBytes });
  const ask = async (contextPin: string | undefined): Promise<Uint8Array> => {
    const raw = await session.call(
      "sign",
      { ...plan, keyId: id, keyType: publicKey.keyType, contextPin },
      { deadlineMs: deadlines.signMs + (contextPin === "" ? deadlines.pinPadMs : 0), onWaiting },
    );
    return toSshSignature(algorithm, raw, plan);
  };
  const signature = key.alwaysAuthenticate ? await withPin(ask) : await ask(undefined);
  // A faulty RSA signature would give the private key away, and the server would only say "refused".
  if (!verifySignature(publicKey.blob, data, signatureBlob(algorithm, signature)))
    throw new CodedError("card.failed", `the card's signature with ${key.label} is wrong`, { leg: "card" });
  return signature;
}

/** Throws `card.failed` for what no card's key of that type is asked for. */
export function checkWish({ type }: { readonly type: string }, algorithm: string, data: Uint8Array): void {
  const refuse = (why: string): never => {
    throw new CodedError("card.failed", why, { leg: "card" });
  };
  if (!isSignatureAlgorithmOf(type, algorithm)) refuse(`a card's ${type} key does not sign as ${algorithm}`);
  if (data.length > MAX_SIGN_DATA_BYTES) refuse(`will not sign ${data.length} bytes`);
}
