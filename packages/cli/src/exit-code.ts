import { errorTable, isCodedError } from "@farside/protocol/errors";

/** Signals that end farside, and the exit code where they come before `ready`. SIGHUP counts as SIGTERM. */
export const interruptExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 143 } as const;
export type Interrupt = keyof typeof interruptExitCodes;

/**
 * The exit code for a run that failed with `error`. `interrupt` is the first signal that was received: it decides
 * between 130 and 143 where the run was called off before it was ready.
 */
export function exitCodeOf(error: unknown, interrupt?: Interrupt): number {
  if (!isCodedError(error)) return errorTable.internal.exit;
  if (error.code === "canceled" && interrupt !== undefined) return interruptExitCodes[interrupt];
  return errorTable[error.code].exit;
}
