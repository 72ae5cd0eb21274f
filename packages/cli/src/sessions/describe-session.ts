import type { StoredSession } from "@farside/orchestrator";
import prettyBytes from "pretty-bytes";
import { table } from "../output/table.ts";

/** A session as `farside status --json` prints it. */
export function sessionFacts({ record, isLive }: StoredSession) {
  const { name, host, jump, pid, startedAt, phase, forwards, openRelays, totalRelays, bytesIn, bytesOut } =
    record;
  return {
    ...{ session: name, host, jump, phase: isLive ? phase : "lost", pid, startedAt, forwards },
    ...{ openRelays, totalRelays, bytesIn, bytesOut },
    ...(record.card !== undefined && { card: record.card }),
    ...(record.receipt === undefined ? {} : { receipt: record.receipt }),
  };
}

/** The sessions as people read them: a line each, or one that says that there is none. */
export function sessionTable(sessions: readonly StoredSession[], now: Date): string[] {
  if (sessions.length === 0) return ["no sessions"];
  const rows = sessions.map((session) => {
    const facts = sessionFacts(session);
    const forwards = facts.forwards.map(({ bind, target }) => `${bind[0] ?? "?"} > ${target}`).join(", ");
    const relays = `${facts.openRelays} of ${facts.totalRelays}`;
    const bytes = `${prettyBytes(facts.bytesIn)} / ${prettyBytes(facts.bytesOut)}`;
    const age = ageText(now.getTime() - Date.parse(facts.startedAt));
    const isCardOut = facts.card === "removed" || facts.card === "waiting";
    const state = isCardOut ? `${facts.phase}, card ${facts.card}` : facts.phase;
    return [facts.session, state, facts.host, age, relays, bytes, forwards];
  });
  return table(["SESSION", "STATE", "HOST", "AGE", "RELAYS", "IN / OUT", "FORWARDS"], rows);
}

/** `45s`, `12m`, `3h`, `2d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
