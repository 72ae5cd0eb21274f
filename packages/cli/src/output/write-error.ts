import type { CodedError } from "@farside/protocol/errors";
import { harmless } from "@farside/protocol/harmless";
import picocolors from "picocolors";
import type { CommandContext } from "../command-context.ts";

const BUG_HINT = "This is a bug in farside. Please report it, with the command that led to it.";

/** Whether `stream` gets colours: a terminal, and NO_COLOR is not set. */
export function hasColor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}

/** `error[code]: …` and `hint: …` on stderr. Never a stack trace. */
export function writeError(error: CodedError, context: Pick<CommandContext, "stderr" | "env">): void {
  const { bold, red, cyan } = picocolors.createColors(hasColor(context.stderr, context.env));
  const hint = error.hint ?? (error.code === "internal" ? BUG_HINT : undefined);
  context.stderr.write(`${bold(red(`error[${error.code}]:`))} ${harmless(error.message)}\n`);
  if (hint !== undefined) context.stderr.write(`${cyan("hint:")} ${harmless(hint)}\n`);
}
