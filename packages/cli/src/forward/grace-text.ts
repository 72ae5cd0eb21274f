import { times } from "../output/describe-event.ts";

/** What the first Ctrl-C is waiting for, and how not to; undefined where it waits for nothing. */
export function graceText(openRelays: number, graceMs: number): string | undefined {
  const open = openText(openRelays, graceMs);
  return open && `ending the session: ${open}; Ctrl-C again ends it now`;
}

/** How long a session's end waits for its open connections; undefined where it waits for none. */
export function openText(openRelays: number, graceMs: number): string | undefined {
  if (openRelays === 0 || graceMs === 0) return undefined;
  return `${times(openRelays, "open connection has", "open connections have")} up to ${graceMs / 1000} s`;
}
