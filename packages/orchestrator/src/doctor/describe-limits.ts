import type { HostDescription } from "@farside/protocol";
import type { Check } from "./check.ts";

/** Below it, a forward with many connections may have to wait; see docs/performance.md. */
const FEW_FILES = 1024;

/** What a jump host lets processes of the login do, as checks; says nothing about what can't be known. */
export function describeLimits({ openFiles, killsUserProcesses, lingers }: HostDescription): Check[] {
  const checks: Check[] = [];
  if (openFiles !== undefined) {
    const isFew = openFiles < FEW_FILES;
    checks.push({
      check: "limits",
      outcome: isFew ? "warning" : "ok",
      text: `${openFiles} open files, which is about ${Math.floor(openFiles / 2)} connections at a time`,
      hint: isFew ? "Raise it (ulimit -n, limits.conf); further connections wait." : undefined,
    });
  }
  if (lingers !== undefined) {
    // What lives as long as its login does not mind: every session does.
    const kills = killsUserProcesses === true && !lingers;
    checks.push({
      check: "limits",
      outcome: "ok",
      text: kills
        ? "logind ends what a login leaves running (KillUserProcesses, no lingering): sessions are not affected, installed agents need loginctl enable-linger"
        : `processes ${lingers ? "may stay without a login (lingering)" : "of a login may go on after it; no lingering, which installed agents need"}`,
    });
  }
  return checks;
}
