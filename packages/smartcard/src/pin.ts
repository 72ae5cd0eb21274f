import { CodedError, harmless } from "@farside/protocol";
import { tokenFlag } from "./pkcs11.ts";
import { isPinEntryCanceled, isPinLocked, isPinWrong, toCardError } from "./pkcs11-error.ts";

import type { TokenFacts } from "./signer-messages.ts";

/**
 * Why a PIN is asked for. Only `first` is expected: the others are said to the operator.
 * `card-reset`: the card forgot the login (suspend, another program).
 */
export type PinReason =
  | "first"
  | "card-reinserted"
  | "card-reset"
  | "signer-restarted"
  | "wrong-pin"
  | "always-authenticate";

export interface PinRequest {
  /** Label of the token; safe to print. */
  readonly token: string;
  readonly reason: PinReason;
  /** Tries left, where the card says it: 1, or nothing (PKCS#11 has no number for more). */
  readonly triesLeft?: number | undefined;
  /** A wrong PIN now locks the card. */
  readonly lastTry: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Where PINs come from. Whoever made it closes what it holds. */
export interface PinSource {
  /**
   * A person answers each time anew. Others give the same PIN again, so that they are not asked again after a wrong one.
   */
  readonly isInteractive: boolean;
  /** The PIN, used for one call and not kept. Rejects with `card.pin-unavailable`, or the signal's reason. */
  ask(request: PinRequest): Promise<string>;
  /** Whether the operator wants to spend the last try. Sources that can't ask say no. */
  confirmLastTry(request: PinRequest): Promise<boolean>;
}

export type PinState = "ok" | "low" | "last-try" | "locked";

/** What the token says of its PIN. OpenSC never says `low`, and other modules may be behind. */
export function pinState({ flags }: TokenFacts): PinState {
  if ((flags & tokenFlag.pinLocked) !== 0) return "locked";
  if ((flags & tokenFlag.pinFinalTry) !== 0) return "last-try";
  return (flags & tokenFlag.pinCountLow) !== 0 ? "low" : "ok";
}

export const hasPinPad = ({ flags }: TokenFacts): boolean =>
  (flags & tokenFlag.protectedAuthenticationPath) !== 0;
export const needsLogin = ({ flags }: TokenFacts): boolean => (flags & tokenFlag.loginRequired) !== 0;

export interface PinEntry<Result> {
  /** As it is now: read just before. */
  readonly token: TokenFacts;
  readonly reason: PinReason;
  readonly source: PinSource;
  /** The reader has keys of its own and the module wants an empty PIN. */
  readonly usePinPad: boolean;
  /** Gives the PIN to the card; called at most once. */
  use(pin: string): Promise<Result>;
  /** PIN tries left after a wrong PIN, where the card says it. */
  triesLeft(): Promise<number | undefined>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One PIN entry, and at most one try on the card. A locked PIN costs none; the last one is spent only after an explicit
 * yes. Rejects with `card.pin-*`, or with what `use` failed with where the PIN was not the reason.
 */
export async function enterPin<Result>(entry: PinEntry<Result>): Promise<Result> {
  const { token, reason, source, usePinPad, signal } = entry;
  const name = harmless(token.label);
  const state = pinState(token);
  if (state === "locked") throw lockedError(name, "no try was made");
  const lastTry = state === "last-try";
  const request: PinRequest = {
    ...{ token: name, reason, lastTry, signal },
    ...(lastTry ? { triesLeft: 1 } : {}),
  };
  if (lastTry && !(await source.confirmLastTry(request))) throw lastTryError(name);
  const pin = usePinPad ? "" : await source.ask(request);
  signal?.throwIfAborted();
  if (!usePinPad) refuseImpossible(pin, token, name);
  try {
    return await entry.use(pin);
  } catch (error) {
    if (isPinLocked(error)) throw lockedError(name, "the card says so", error);
    if (isPinEntryCanceled(error))
      throw new CodedError("card.pin-unavailable", `the PIN entry for ${name} was canceled on the reader`, {
        leg: "card",
        cause: error,
      });
    if (!isPinWrong(error)) throw toCardError(error, `log in to ${name}`);
    throw wrongPinError(name, await entry.triesLeft().catch(() => undefined), error);
  }
}

/** Tries left as far as the token's flags say it; undefined for two and more. */
export function triesLeftOf(token: TokenFacts): number | undefined {
  const state = pinState(token);
  return state === "locked" ? 0 : state === "last-try" ? 1 : undefined;
}

/** A PIN that can't be right isn't sent, so that it costs no try. C strings end at a NUL, and prompts at a line's end. */
function refuseImpossible(pin: string, { minPinLength, maxPinLength }: TokenFacts, name: string): void {
  const refuse = (what: string): never => {
    throw new CodedError("card.pin-unavailable", `the PIN for ${name} ${what}; it was not sent to the card`, {
      leg: "card",
    });
  };
  const length = Buffer.byteLength(pin);
  if (length === 0) refuse("is empty");
  if (/\p{Cc}/u.test(pin)) refuse("has control characters");
  const hasLimits = minPinLength > 0 && minPinLength <= maxPinLength && maxPinLength <= 255;
  if (length > 255) refuse("is longer than any card takes");
  if (hasLimits && (length < minPinLength || length > maxPinLength))
    refuse(`must have ${minPinLength} to ${maxPinLength} characters`);
}

function wrongPinError(name: string, triesLeft: number | undefined, cause: unknown): CodedError {
  const told = triesLeft === undefined ? {} : { data: { triesLeft } };
  const failed = (what: string, hint: string): CodedError =>
    new CodedError("card.pin-wrong", `${name} refused the PIN; ${what}`, {
      leg: "card",
      hint,
      cause,
      ...told,
    });
  if (triesLeft === 0) return failed("it is locked now", "unlock the card with its PUK");
  if (triesLeft === 1)
    return failed("1 try is left", "be sure of the PIN: the next wrong one locks the card");
  const left =
    triesLeft === undefined ? "the card doesn't say how many tries are left" : `${triesLeft} tries are left`;
  return failed(left, "run it again with the right PIN");
}

function lockedError(name: string, how: string, cause?: unknown): CodedError {
  return new CodedError("card.pin-locked", `cannot log in to ${name}: its PIN is locked (${how})`, {
    leg: "card",
    hint: "unlock the card with its PUK",
    cause,
  });
}

function lastTryError(name: string): CodedError {
  return new CodedError(
    "card.pin-last-try",
    `cannot log in to ${name}: one PIN try is left, and nobody said yes to spending it`,
    { leg: "card", hint: "run it in a terminal and confirm, or unlock the card with its PUK" },
  );
}
