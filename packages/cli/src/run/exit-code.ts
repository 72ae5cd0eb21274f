import { type CodedError, errorTable } from "@farside/protocol/errors";
import { exitCodeOf, type Interrupt } from "../exit-code.ts";

/** What `run` exits with where farside itself failed, as env(1), timeout(1) and docker have it. */
export const RUN_FAILED = 125;

/** The exit code of a `run` that ended with a failure of farside and not with the command's. */
export function failedRunExitCode(failure: CodedError, interrupt?: Interrupt): number {
  if (failure.code === "command.not-found" || failure.code === "command.not-runnable") {
    return errorTable[failure.code].exit;
  }
  return failure.code === "canceled" && interrupt !== undefined ? exitCodeOf(failure, interrupt) : RUN_FAILED;
}
