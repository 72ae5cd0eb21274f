import type { ChainHead } from "@farside/protocol/audit";
import { usageError } from "../usage-error.ts";

/** `LINE:HASH`, as `farside audit verify` prints the newest. */
export function auditPlace(text: string, option: string): ChainHead {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match !== null && Number(match[1]) > 0) return { seq: Number(match[1]), hash: match[2] ?? "" };
  throw usageError(
    `${option}: ${JSON.stringify(text)} is not LINE:HASH`,
    "farside audit verify prints the newest one.",
  );
}
