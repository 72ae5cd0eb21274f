import { times } from "../output/describe-event.ts";

/** What the first Ctrl-C is waiting for, and how not to; undefined where it waits for nothing. */
export function graceText(openRelays: number, graceMs: number): string | undefined {
  if (openRelays === 0 || graceMs === 0) return undefined;
  const open = times(openRelays, "open connection has", "open connections have");
  return `ending the session: ${open} up to ${graceMs / 1000} s; Ctrl-C again ends it now`;
}
