import { CodedError, type ErrorCode, harmless } from "@farside/protocol";
import { ckr } from "./pkcs11.ts";

import type { SignerFailure } from "./signer-messages.ts";

/** A failure that the module reported. Stays inside this package; `toCardError` makes the operator's error of it. */
export class ModuleFailure extends Error {
  override readonly name = "ModuleFailure";
  /** CKR_* value, undefined where the failure isn't PKCS#11's. */
  readonly ckr: number | undefined;
  readonly method: string;

  constructor({ code, message, method }: SignerFailure) {
    super(harmless(message));
    this.ckr = code;
    this.method = harmless(method, 40);
  }
}

const pinWrong: readonly number[] = [ckr.pinIncorrect, ckr.pinInvalid, ckr.pinLengthRange];
const sessionGone: readonly number[] = [
  ckr.sessionHandleInvalid,
  ckr.sessionClosed,
  ckr.deviceRemoved,
  ckr.tokenNotPresent,
  ckr.tokenNotRecognized,
  ckr.slotIdInvalid,
];

const vague: readonly number[] = [ckr.generalError, ckr.functionFailed, ckr.deviceError];

const hasCode = (error: unknown, codes: readonly number[]): boolean =>
  error instanceof ModuleFailure && error.ckr !== undefined && codes.includes(error.ckr);

export const isPinWrong = (error: unknown): boolean => hasCode(error, pinWrong);
export const isPinLocked = (error: unknown): boolean => hasCode(error, [ckr.pinLocked]);
export const isPinEntryCanceled = (error: unknown): boolean => hasCode(error, [ckr.functionCanceled]);
export const isAlreadyLoggedIn = (error: unknown): boolean => hasCode(error, [ckr.userAlreadyLoggedIn]);
/** The card forgot the login: a reset, another program, or an always-authenticate key without its PIN. */
export const isLoginLost = (error: unknown): boolean => hasCode(error, [ckr.userNotLoggedIn]);
/** The card is out, or was: sessions are dead, and a login with them. */
export const isSessionGone = (error: unknown): boolean => hasCode(error, sessionGone);

/** What modules say of anything, also of a card that was pulled out a moment ago. */
export const isVague = (error: unknown): boolean => hasCode(error, vague);
export const deviceRemoved = (method: string): ModuleFailure =>
  new ModuleFailure({ code: ckr.deviceRemoved, message: "CKR_DEVICE_REMOVED", method });

/** The error that the operator gets for a failure of the module while `attempt` ("sign with key 01"). */
export function toCardError(error: unknown, attempt: string): unknown {
  if (!(error instanceof ModuleFailure)) return error;
  const failed = (code: ErrorCode, what: string, hint?: string): CodedError =>
    new CodedError(code, `cannot ${attempt}: ${what}`, {
      leg: "card",
      cause: error,
      hint,
      ...(error.ckr === undefined ? {} : { data: { ckr: error.ckr, method: error.method } }),
    });
  if (isSessionGone(error))
    return failed("card.removed", "the card was taken out", "put the card back and try again");
  return failed("card.failed", `${error.method} of the PKCS#11 module failed with ${error.message}`);
}
