/** A log that shows when it was changed: written on the workstation, and by agents that stay. Not in the session agent's bundle. */
export { AuditFiles, isAuditName } from "./audit-files.ts";
export { type AuditEntry, type ChainHead, chainHead, hashOfLine } from "./audit-line.ts";
export { AuditTrail, type AuditTrailOptions } from "./audit-trail.ts";
export { withFileLock } from "./file-lock.ts";
export { type AuditReport, verifyAudit, verifyLog } from "./verify-audit.ts";
export { ChainCheck, type ChainFinding, type ChainReport } from "./verify-chain.ts";
