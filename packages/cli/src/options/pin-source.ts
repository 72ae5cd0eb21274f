import { usageError } from "../usage-error.ts";

/** Where the PIN comes from, as `--pin-source` says it. */
export type PinOrigin =
  | { readonly kind: "tty" }
  | { readonly kind: "askpass" }
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "fd"; readonly fd: number }
  | { readonly kind: "file"; readonly path: string };

/** Reads `tty|askpass|env:NAME|fd:N|file:PATH`; throws `usage.invalid`. The text itself is no secret. */
export function parsePinOrigin(text: string, option: string): PinOrigin {
  if (text === "tty" || text === "askpass") return { kind: text };
  const [, kind, rest] = /^(env|fd|file):(.+)$/s.exec(text) ?? [];
  if (kind === "env" && rest !== undefined && /^[A-Za-z_][A-Za-z0-9_]*$/.test(rest))
    return { kind, name: rest };
  if (kind === "fd" && rest !== undefined && /^\d{1,6}$/.test(rest)) return { kind, fd: Number(rest) };
  if (kind === "file" && rest !== undefined) return { kind, path: rest };
  // A PIN that was typed here by mistake must not be printed.
  throw usageError(
    `${option}: the value is not one of tty, askpass, env:NAME, fd:N, file:PATH`,
    "The PIN itself is never given on the command line.",
  );
}
