import { harmless, type SessionEvent } from "@farside/protocol";
import type { AuditEntry, AuditTrail } from "@farside/protocol/audit";

/** What a line of the log holds of a list (of what is left on a host), and of a text. */
const MAX_ITEMS = 20;
const MAX_TEXT = 500;

/** Whose entries they are. */
export interface AuditedSession {
  readonly name: string;
  /** `user@host` of the jump host. */
  readonly host: string;
}

/** Writes down what `event` means for the audit log; most events mean nothing. Never waits. */
export function auditEvent(
  trail: Pick<AuditTrail, "append">,
  session: AuditedSession,
  event: SessionEvent,
): void {
  const entry = entryOf(event);
  if (entry === undefined) return;
  // A host can make as many of these as it likes, and must not push the others out.
  const mayDrop =
    event.event.startsWith("relay.") ||
    event.event === "dropped" ||
    (event.event === "hop.connected" && event.leg === "hop") ||
    (event.event === "sign" && event.decision === "refused");
  trail.append({ ...bounded(entry), session: session.name, host: session.host }, { mayDrop });
}

/** What is told of every session whose agent is about to be sent. */
export function deployEntry(session: AuditedSession, run: string, digest: string): AuditEntry {
  return { event: "deploy", session: session.name, host: session.host, run, digest };
}

function entryOf(event: SessionEvent): AuditEntry | undefined {
  switch (event.event) {
    case "card.login":
      return {
        event: "card-login",
        token: event.token,
        key: event.key,
        pinEntries: event.pinEntries,
      };
    case "hop.connected": {
      const { leg, user, host, port, hostKey } = event;
      return { event: "login", leg, user, to: host, port, hostKey };
    }
    case "agent.ready": {
      const { pid, node, agentVersion, digest } = event;
      return { event: "agent", pid, node, agentVersion, digest };
    }
    case "runtime.upload": {
      const { runtime, digest, folder, kept } = event;
      return { event: "runtime", runtime, digest, folder, kept };
    }
    case "engine.ready":
      return { event: "engine", engine: event.engine, version: event.version };
    case "forward.open": {
      const { id, bind, target, via } = event;
      return { event: "bind", forward: id, bind, target, via };
    }
    case "metrics.open":
      return { event: "metrics", bind: event.bind };
    case "forward.taken-over": {
      const { forward, address, session: from, pid, reason } = event;
      return { event: "taken-over", forward, address, from, pid, reason };
    }
    case "relay.close": {
      const { forward, relay, peer, uid, bytesIn, bytesOut, durationMs, reason, code } = event;
      const ended = { bytesIn, bytesOut, durationMs, reason, code };
      return { event: "relay", forward, relay, peer, uid, ...ended };
    }
    case "relay.refused":
      return { event: "refused", forward: event.forward, peer: event.peer, uid: event.uid };
    case "sign": {
      const { hop, algorithm, decision, reason } = event;
      return { event: "sign", hop, algorithm, decision, reason };
    }
    case "reattached":
      return { event: "reattached" };
    case "detached":
      return { event: "detached", expiresAt: event.expiresAt };
    case "dropped":
      return { event: "events-dropped", count: event.count };
    case "error":
      return { event: "failure", code: event.code, message: event.message, leg: event.leg };
    case "receipt": {
      const { clean, processes, listeners, files } = event;
      return { event: "teardown", clean, processes, listeners, files };
    }
    default:
      return undefined;
  }
}

/** Whatever a host said in it can't act on who reads the log, nor fill it. */
function bounded(entry: AuditEntry): AuditEntry {
  const fields = Object.entries(entry).map(([field, value]) => [field, boundedValue(value)]);
  return Object.fromEntries(fields) as AuditEntry;
}

type Value = AuditEntry[string];

function boundedValue(value: Value): Value {
  if (typeof value === "string") return harmless(value, MAX_TEXT);
  if (!Array.isArray(value)) return value;
  const shown = value.slice(0, MAX_ITEMS).map((item) => boundedValue(item) ?? "");
  return value.length > MAX_ITEMS ? [...shown, `and ${value.length - MAX_ITEMS} more`] : shown;
}
