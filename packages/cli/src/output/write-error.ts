import type { CodedError } from "@farside/protocol/errors";
import { harmless } from "@farside/protocol/harmless";
import { hintFor } from "@farside/protocol/remedies";
import picocolors from "picocolors";
import type { CommandContext } from "../command-context.ts";

/** Whether `stream` gets colours: a terminal, and NO_COLOR is not set. */
export function hasColor(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}

/** `warning: …` and `hint: …` on stderr, for what is said before there is a reporter. */
export function writeWarning(
  message: string,
  hint: string,
  context: Pick<CommandContext, "stderr" | "env">,
): void {
  const { yellow, cyan } = picocolors.createColors(hasColor(context.stderr, context.env));
  context.stderr.write(`${yellow("warning:")} ${harmless(message)}\n${cyan("hint:")} ${harmless(hint)}\n`);
}

/** `error[code]: …` and `hint: …` on stderr. Never a stack trace. */
export function writeError(error: CodedError, context: Pick<CommandContext, "stderr" | "env">): void {
  const { bold, red, cyan } = picocolors.createColors(hasColor(context.stderr, context.env));
  const hint = hintFor(error);
  context.stderr.write(`${bold(red(`error[${error.code}]:`))} ${harmless(error.message)}\n`);
  if (hint !== undefined) context.stderr.write(`${cyan("hint:")} ${harmless(hint)}\n`);
}
