import type { Receipt, SessionEvent } from "@farside/protocol";
import prettyBytes from "pretty-bytes";

export type LogLevel = "error" | "warn" | "info" | "debug";

/** One event in words. `hint` goes on a line of its own. The texts hold what others sent: they are not yet harmless. */
export interface Description {
  readonly level: LogLevel;
  readonly tone: "done" | "note" | "warning" | "error";
  readonly text: string;
  /** Each stands on a line of its own below the text. */
  readonly items?: readonly string[] | undefined;
  readonly hint?: string | undefined;
}

const done = (text: string): Description => ({ level: "info", tone: "done", text });
const note = (level: LogLevel, text: string): Description => ({ level, tone: "note", text });
const warning = (text: string, hint?: string): Description => ({
  level: "warn",
  tone: "warning",
  text,
  hint,
});

/** Whether `event` is told at debug level alone. There may be thousands a second, and most are not put into words. */
export function isDetail(event: SessionEvent): boolean {
  return event.event === "relay.open" || (event.event === "relay.close" && event.reason !== "error");
}

/** What people read for `event`; `undefined` for what another line says already. `isLeft`: of a session that is left as soon as it is ready. */
export function describeEvent(event: SessionEvent, isLeft = false): Description | undefined {
  switch (event.event) {
    case "card.login":
      return done(
        `card "${event.token}", key "${event.key}": ${times(event.pinEntries, "PIN entry", "PIN entries")}`,
      );
    case "card.state":
      // The others have lines of their own.
      if (event.state !== "waiting") return undefined;
      return warning(
        `${times(event.waiting ?? 0, "login waits", "logins wait")} for card "${event.token}"`,
        "Put the card back; its PIN will be asked for.",
      );
    case "hop.connected":
      return done(`logged in to ${event.user}@${place(event.host, event.port)} (host key ${event.hostKey})`);
    case "agent.ready": {
      const { bytes, durationMs } = event.deploy;
      return done(
        `agent ${event.agentVersion} in memory on ${event.host}: process ${event.pid}, Node.js ${event.node}, ` +
          `${prettyBytes(bytes)} sent in ${seconds(durationMs)}`,
      );
    }
    case "runtime.fetch":
      return done(`fetching ${event.runtime} from the npm registry: ${prettyBytes(event.bytes)}, once`);
    case "runtime.upload": {
      const { runtime, host, bytes, size, folder, kept } = event;
      const end = kept ? "kept there" : "gone with the session";
      return done(
        `sending ${runtime} to ${host}, which has none that fits: ${prettyBytes(bytes)}, ${prettyBytes(size)} in ${folder}, ${end}`,
      );
    }
    case "engine.ready":
      return done(
        `the ssh of ${event.host} forwards (${event.version}), asked in ${seconds(event.durationMs)}`,
      );
    case "forward.open":
      return done(`listening on ${event.bind.join(" and ")}, forwarding to ${way(event.target, event.via)}`);
    case "metrics.open":
      return done(`metrics and health on ${event.bind.join(" and ")}`);
    case "forward.state":
      return describeState(event);
    case "forward.taken-over":
      return describeTakeover(event);
    case "ready":
      return done(`ready: session ${event.session}${isLeft ? "" : " (Ctrl-C ends it)"}`);
    case "relay.open":
      return note("debug", `relay ${event.relay}: opened by ${client(event.peer, event.uid)}`);
    case "relay.close": {
      const moved = `${prettyBytes(event.bytesIn)} to the target, ${prettyBytes(event.bytesOut)} back, ${seconds(event.durationMs)}`;
      if (event.reason !== "error") return note("debug", `relay ${event.relay}: ${event.reason}, ${moved}`);
      const why = event.message ?? "failed";
      const code = event.code === undefined ? "" : ` [${event.code}]`;
      return warning(`relay ${event.relay} from ${client(event.peer, event.uid)} ended${code}: ${why}`);
    }
    case "relay.refused":
      return warning(`refused a connection from ${client(event.peer, event.uid)}`, event.hint);
    case "sign":
      if (event.decision === "signed")
        return note("info", `signed the login to ${event.hop} (${event.algorithm})`);
      return warning(`refused to sign for ${event.hop} (${event.algorithm}): ${event.reason}`);
    case "reattached":
      return done(`connected again: session ${event.session}`);
    case "detached":
      return done(
        `left running on ${event.host} until ${event.expiresAt}: session ${event.session} (farside teardown ${event.session} ends it)`,
      );
    case "dropped":
      return warning(`${times(event.count, "event was", "events were")} dropped`);
    case "warning":
      return warning(event.message, event.hint);
    case "error":
      return {
        level: "error",
        tone: "error",
        text: `error[${event.code}]: ${event.message}`,
        hint: event.hint,
      };
    case "receipt":
      return describeReceipt(event);
  }
}

function describeTakeover(event: Extract<SessionEvent, { event: "forward.taken-over" }>): Description {
  const { address, session, pid, reason } = event;
  if (session === undefined) return warning(`took ${address} over: nobody listened on that socket any more`);
  const why = {
    "same-name": "it has the same name",
    "orchestrator-gone": "its farside is dead",
    "lease-over": "its lease is over, and it hangs",
    forced: "--take-over",
    "stale-socket": "nobody listened",
  }[reason];
  return warning(`took ${address} over from session ${session} (process ${pid ?? "?"}): ${why}`);
}

function describeState(event: Extract<SessionEvent, { event: "forward.state" }>): Description {
  const { forward, phase, waitsFor, retryInMs, code, message } = event;
  if (phase === "open") return done(`forward ${forward}: open again`);
  if (phase === "draining")
    return note("info", `forward ${forward}: closed to new connections; the open ones have their grace`);
  if (phase === "closed") return note("info", `forward ${forward}: closed`);
  const next = retryInMs === undefined ? "" : `, next try in ${seconds(retryInMs)}`;
  const waits = waitsFor === undefined ? "" : `, waits for ${waitsFor}${next}`;
  const why =
    message === undefined ? undefined : `last error${code === undefined ? "" : ` [${code}]`}: ${message}`;
  return warning(`forward ${forward}: ${phase}${waits}`, why);
}

/** How the receipt of a host that could not be looked at begins each of its lists. */
const UNKNOWN = "unknown: ";

/** The receipt in plain words; what is left is listed, an item a line. */
export function describeReceipt(receipt: Receipt): Description {
  const { processes, listeners, files, host, clean } = receipt;
  const counts = [
    times(processes.length, "process", "processes"),
    times(listeners.length, "listener", "listeners"),
    times(files.length, "file", "files"),
  ].join(", ");
  if (clean) return done(`nothing left on ${host}: ${counts}`);
  const again = receipt.session === "*" ? `--host ${host}` : receipt.session;
  const unknown = processes.find((item) => item.startsWith(UNKNOWN));
  if (unknown !== undefined || processes.length + listeners.length + files.length === 0) {
    const why = unknown?.slice(UNKNOWN.length) ?? `${host} could not be looked at`;
    const hint = `Once that is put right, run farside teardown ${again}, or look at the host.`;
    return { level: "error", tone: "warning", text: `what is left is not known: ${why}`, hint };
  }
  const items = [
    ...processes.map((item) => `process ${item}`),
    ...listeners.map((item) => `listener ${item}`),
    ...files.map((item) => `file ${item}`),
  ];
  const hint = `Run farside teardown ${again}, or look at the host.`;
  return { level: "error", tone: "warning", text: `left on ${host}: ${counts}`, items, hint };
}

export function times(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function place(host: string, port: number): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === 22 ? name : `${name}:${port}`;
}

function way(target: string, via: readonly string[]): string {
  return via.length === 0 ? target : `${target} via ${via.join(", ")}`;
}

function client(peer: string, uid: number): string {
  return uid < 0 ? peer : `${peer} (uid ${uid})`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
