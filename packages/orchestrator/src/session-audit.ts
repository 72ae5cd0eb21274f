import { harmless, type SessionEvent } from "@farside/protocol";
import type { AuditEntry, AuditTrail } from "@farside/protocol/audit";

/** Of what is left on a host, what a line of the log holds. */
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
  trail.append({ ...entry, session: session.name, host: session.host }, { mayDrop });
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
        ...texts({ token: event.token, key: event.key }),
        pinEntries: event.pinEntries,
      };
    case "hop.connected": {
      const { leg, user, host, port, hostKey } = event;
      return { event: "login", leg, ...texts({ user, to: host }), port, hostKey };
    }
    case "agent.ready": {
      const { pid, node, agentVersion, digest } = event;
      return { event: "agent", pid, ...texts({ node, agentVersion }), digest };
    }
    case "runtime.upload": {
      const { runtime, digest, folder, kept } = event;
      return { event: "runtime", ...texts({ runtime, digest, folder }), kept };
    }
    case "engine.ready":
      return { event: "engine", engine: event.engine, version: text(event.version) };
    case "forward.open": {
      const { id, bind, target, via } = event;
      return { event: "bind", forward: id, bind: bind.map(text), target: text(target), via: via.map(text) };
    }
    case "metrics.open":
      return { event: "metrics", bind: event.bind.map(text) };
    case "forward.taken-over": {
      const { forward, address, pid, reason } = event;
      const from = event.session === undefined ? undefined : text(event.session);
      return { event: "taken-over", forward, address: text(address), from, pid, reason };
    }
    case "relay.close": {
      const { forward, relay, peer, uid, bytesIn, bytesOut, durationMs, reason, code } = event;
      const ended = { bytesIn, bytesOut, durationMs, reason, code };
      return { event: "relay", forward, relay, peer: text(peer), uid, ...ended };
    }
    case "relay.refused":
      return { event: "refused", forward: event.forward, peer: text(event.peer), uid: event.uid };
    case "sign": {
      const { hop, algorithm, decision, reason } = event;
      return { event: "sign", ...texts({ hop, algorithm }), decision, reason };
    }
    case "reattached":
      return { event: "reattached" };
    case "detached":
      return { event: "detached", expiresAt: event.expiresAt };
    case "dropped":
      return { event: "events-dropped", count: event.count };
    case "error":
      return { event: "failure", code: event.code, message: text(event.message), leg: event.leg };
    case "receipt": {
      const { clean, processes, listeners, files } = event;
      const left = { processes: some(processes), listeners: some(listeners), files: some(files) };
      return { event: "teardown", clean, ...left };
    }
    default:
      return undefined;
  }
}

function text(value: string): string {
  return harmless(value, MAX_TEXT);
}

function texts<K extends string>(values: Readonly<Record<K, string>>): Readonly<Record<K, string>> {
  return Object.fromEntries(
    Object.entries<string>(values).map(([key, value]) => [key, text(value)]),
  ) as Record<K, string>;
}

function some(items: readonly string[]): string[] {
  const shown = items.slice(0, MAX_ITEMS).map(text);
  return items.length > MAX_ITEMS ? [...shown, `and ${items.length - MAX_ITEMS} more`] : shown;
}
