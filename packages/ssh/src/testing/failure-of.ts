import { type CodedError, isCodedError } from "@farside/protocol";

/** The coded error that `promise` rejects with; fails where it resolves, or rejects with anything else (a bug). */
export async function failureOf(promise: Promise<unknown>): Promise<CodedError> {
  try {
    await promise;
  } catch (error) {
    if (isCodedError(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
