import { isLeftRunning, type LiveFacts, type StoredSession } from "@farside/orchestrator";
import { harmless } from "@farside/protocol";
import prettyBytes from "pretty-bytes";
import { table } from "../output/table.ts";

type ForwardFacts = LiveFacts["forwards"][number];

/** A session as `farside status --json` prints it. `state` and counters of a forward are what its agent said at `liveAt`. */
export function sessionFacts({ record, isLive }: StoredSession, now: Date = new Date()) {
  const { name, host, jump, pid, startedAt, phase, openRelays, totalRelays, bytesIn, bytesOut, live } =
    record;
  const forwards = record.forwards.map((forward) => {
    const found = isLive ? live?.forwards.find(({ id }) => id === forward.id) : undefined;
    return { ...forward, ...(found && { live: withoutId(found) }) };
  });
  return {
    ...{
      session: name,
      host,
      jump,
      phase: isLive ? phase : endedPhase(record, now),
      pid,
      startedAt,
      forwards,
    },
    ...{ openRelays, totalRelays, bytesIn, bytesOut },
    ...(record.card !== undefined && { card: record.card }),
    ...(isLive && live !== undefined && { liveAt: live.at, relays: live.relays }),
    ...(record.metrics === undefined ? {} : { metrics: record.metrics }),
    ...(record.expiresAt === undefined ? {} : { expiresAt: record.expiresAt }),
    ...(record.receipt === undefined ? {} : { receipt: record.receipt }),
  };
}

/** What a session is whose orchestrator has ended. Whether its agent is still there, only its host can say. */
function endedPhase(record: StoredSession["record"], now: Date): string {
  if (record.phase !== "detached") return "lost";
  return isLeftRunning(record, now.getTime()) ? "detached" : "expired";
}

/** The sessions as people read them: a line each, and below it what is not as it should be; or a line that says that there is none. */
export function sessionLines(sessions: readonly StoredSession[], now: Date): string[] {
  if (sessions.length === 0) return ["no sessions"];
  const all = sessions.map((session) => sessionFacts(session, now));
  const rows = all.map((facts) => {
    const forwards = facts.forwards.map(({ bind, target }) => `${bind[0] ?? "?"} > ${target}`).join(", ");
    const relays = `${facts.openRelays} of ${facts.totalRelays}`;
    const live = facts.forwards.flatMap((forward) => forward.live ?? []);
    const sum = (count: "bytesIn" | "bytesOut") => live.reduce((total, each) => total + each[count], 0);
    // Bytes of the events are those of relays that have ended.
    const moved = (count: "bytesIn" | "bytesOut") => prettyBytes(Math.max(facts[count], sum(count)));
    const age = ageText(now.getTime() - Date.parse(facts.startedAt));
    const isCardOut = facts.card === "removed" || facts.card === "waiting";
    const state = isCardOut ? `${facts.phase}, card ${facts.card}` : facts.phase;
    const bytes = `${moved("bytesIn")} / ${moved("bytesOut")}`;
    return [facts.session, state, facts.host, age, relays, bytes, forwards];
  });
  const [heading = "", ...lines] = table(
    ["SESSION", "STATE", "HOST", "AGE", "RELAYS", "IN / OUT", "FORWARDS"],
    rows,
  );
  return [heading, ...lines.flatMap((line, index) => [line, ...troubleOf(all[index], now)])];
}

function troubleOf(facts: ReturnType<typeof sessionFacts> | undefined, now: Date): string[] {
  if (facts === undefined) return [];
  const saidAgoMs = facts.liveAt === undefined ? 0 : now.getTime() - Date.parse(facts.liveAt);
  return facts.forwards.flatMap(({ id, live }) =>
    live === undefined || live.phase === "open" ? [] : [`  forward ${id}: ${stateText(live, saidAgoMs)}`],
  );
}

/** `degraded, waits for the hop, next try in 3 s; last error at the hop [hop.lost]: …`. */
function stateText(facts: Omit<ForwardFacts, "id">, saidAgoMs: number): string {
  const { phase, waitsFor, retryInMs, code, leg, message } = facts;
  const left = retryInMs === undefined ? undefined : Math.max(0, Math.ceil((retryInMs - saidAgoMs) / 1000));
  const next = left === 0 ? "tried now" : left !== undefined && `next try in ${left} s`;
  const parts = [phase, waitsFor && `waits for ${waitsFor}`, next];
  const at = leg === undefined ? "" : ` at the ${leg}`;
  const error = message === undefined ? "" : `; last error${at} [${code ?? "?"}]: ${message}`;
  return harmless(`${parts.filter(Boolean).join(", ")}${error}`);
}

function withoutId({ id: _, ...facts }: ForwardFacts): Omit<ForwardFacts, "id"> {
  return facts;
}

/** `45s`, `12m`, `3h`, `2d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
