import type { HostAudit } from "@farside/orchestrator";
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

/** `USER@HOST/NAME`, as `farside agent status` names an installed agent. */
export function hostAudit(text: string, option: string): HostAudit {
  const at = text.lastIndexOf("/");
  if (at > 0 && at < text.length - 1) return { host: text.slice(0, at), agent: text.slice(at + 1) };
  throw usageError(
    `${option}: ${JSON.stringify(text)} is not USER@HOST/NAME`,
    "farside agent status HOST names the agents.",
  );
}
