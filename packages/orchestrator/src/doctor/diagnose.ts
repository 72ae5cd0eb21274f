import {
  CodedError,
  type ErrorCode,
  type SessionEvent,
  type SessionEventOf,
  toCodedError,
} from "@farside/protocol";
import { fingerprint } from "@farside/ssh";
import { checkOpensshOptions } from "../engine/openssh/check-options.ts";
import { EventLog } from "../event-log.ts";
import type { ForwardOptions } from "../forward-options.ts";
import { type ForwardSpec, formatBind, formatTarget } from "../forward-spec.ts";
import { parseHopList } from "../hop-spec.ts";
import { planSession } from "../plan-session.ts";
import { readForwards } from "../read-forwards.ts";
import type { RuntimeShipment } from "../runtime/provide-runtime.ts";
import { Session } from "../session.ts";
import type { SessionPlan } from "../session-plan.ts";
import { type Check, type CheckName, checksOfEngine, failedCheck } from "./check.ts";
import { ProbeEngine } from "./probe-engine.ts";
import { ProbeOpenssh } from "./probe-openssh.ts";

const SHOWN_KEYS = 3;
/** What a failure of `--engine openssh` is about. */
const OF_OPENSSH: Readonly<Partial<Record<ErrorCode, CheckName>>> = {
  "engine.no-ssh": "ssh",
  "engine.ssh-too-old": "ssh",
  "engine.forwarding-refused": "ssh-agent",
};

/** What a diagnosis is told: as a session, but nothing of it has to be given but `jump`. */
export interface DiagnoseOptions
  extends Omit<
    ForwardOptions,
    "forwards" | "askHostKey" | "hostKeyCheck" | "askRuntime" | "readyFile" | "keepRuntime"
  > {
  readonly forwards?: ForwardOptions["forwards"] | undefined;
  /** Hears each check as soon as it is made. */
  readonly onCheck: (check: Check) => void;
}

/**
 * Tries everything that a session with these options needs, and opens nothing: logs in to the jump host, runs an agent there, asks it about
 * the listeners, logs in to the hops and dials the targets, and tears all of it down. Changes nothing on the workstation
 * either: an unknown host key is a failure and asks nobody, a Node.js is neither fetched nor sent. Resolves with the first failure, undefined where there is none.
 * Rejects with the signal's reason.
 */
export async function diagnose(options: DiagnoseOptions): Promise<CodedError | undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const report = new Report(options.onCheck);
  const log = new EventLog();
  const { onEvent } = options;
  if (onEvent !== undefined) log.subscribe(onEvent);
  log.subscribe((event) => tellEvent(event, report));
  let offered: RuntimeShipment | undefined;
  let plan: SessionPlan;
  let forwards: ForwardSpec[];
  try {
    forwards = readForwards(options);
    if (options.engine === "openssh")
      checkOpensshOptions(options, { forwardsSomething: forwards.length > 0 });
    const session: ForwardOptions = {
      ...{ ...options, onEvent: undefined, forwards: [], hostKeyCheck: "strict", respectSshdPolicy: false },
      metricsPort: undefined,
      // One that is kept there is taken; nothing is fetched or sent.
      runtime: options.runtime === "upload" ? "auto" : options.runtime,
      askRuntime: async (shipment) => {
        offered = shipment;
        return false;
      },
    };
    plan = await planSession(session, log, {
      makeEngine: ({ agent, openssh }, context) => {
        const { respectSshdPolicy = false, metricsPort } = options;
        const common = {
          forwards,
          metricsPort,
          respectSshdPolicy,
          onCheck: (check: Check) => report.tell(check),
        };
        return options.engine === "openssh"
          ? new ProbeOpenssh({ ...common, openssh }, context)
          : new ProbeEngine({ ...common, agent }, context);
      },
    });
  } catch (error) {
    signal?.throwIfAborted();
    const coded = toCodedError(error);
    const isIdentity = /^(?:identity|card)\./.test(coded.code);
    report.fail(isIdentity ? "identity" : "config", coded);
    return report.end();
  }
  report.ok("config", `${plan.host}${way(options)}`);
  await tellKeys(plan, report, signal);
  const session = new Session(plan, log);
  const stop = () => void session.close({ graceMs: 0 });
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    const failure = await session.ready.then(() => undefined, toCodedError);
    const { receipt } = await session.close({ graceMs: 0 });
    signal?.throwIfAborted();
    if (failure !== undefined) report.stopped(failure, offered);
    report.skipMissing(options, forwards);
    if (receipt?.clean === true) report.ok("left", `nothing is left on ${receipt.host}`);
    else if (receipt !== undefined) {
      const items = [...receipt.processes, ...receipt.listeners, ...receipt.files];
      report.fail(
        "left",
        new CodedError("teardown.leftovers", `left on ${receipt.host}: ${items.join(", ")}`, {
          hint: `Run farside teardown ${plan.name}.`,
        }),
      );
    }
    return report.end();
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** What was told so far, and the first failure of it. */
class Report {
  readonly #onCheck: (check: Check) => void;
  readonly #told = new Set<CheckName>();
  #isJumpReached = false;
  #failure: CodedError | undefined;

  constructor(onCheck: (check: Check) => void) {
    this.#onCheck = onCheck;
  }

  tell(check: Check): void {
    this.#told.add(check.check);
    if (check.outcome === "failed") {
      this.#failure ??= new CodedError(check.code ?? "internal", check.text, {
        hint: check.hint,
        leg: check.leg,
      });
    }
    this.#onCheck(check);
  }

  ok(check: CheckName, text: string): void {
    this.tell({ check, outcome: "ok", text });
  }

  fail(check: CheckName, error: CodedError): void {
    this.tell(failedCheck(check, error));
  }

  loggedIn({ user, host, port, hostKey, leg }: SessionEventOf<"hop.connected">): void {
    const place = `${user}@${host.includes(":") ? `[${host}]` : host}${port === 22 ? "" : `:${port}`}`;
    this.#isJumpReached ||= leg === "jump";
    this.ok(
      leg === "jump" ? "login" : "hop",
      `${place} answers, has the known host key ${hostKey}, and lets us in`,
    );
  }

  /** The session ended before everything was looked at. */
  stopped(failure: CodedError, offered: RuntimeShipment | undefined): void {
    const { code } = failure;
    if (!this.#isJumpReached || code.startsWith("hop.")) {
      this.fail(code.startsWith("card.") || code.startsWith("identity.") ? "identity" : "login", failure);
      return;
    }
    const isOfNode = ["agent.no-runtime", "agent.runtime-too-old", "agent.unsupported-host"].includes(code);
    if (isOfNode && offered !== undefined) {
      const mb = (bytes: number) => `${Math.round(bytes / 1_000_000)} MB`;
      const { name, sentBytes, bytes, fetchBytes } = offered;
      const fetched = fetchBytes === 0 ? "" : `; npm fetches it first (${mb(fetchBytes)}, once)`;
      this.tell({
        ...{ check: "node", outcome: "warning" },
        text: `${failure.message}; a session would send ${name}: about ${mb(sentBytes)}, ${mb(bytes)} there, gone with it${fetched}`,
        hint: "Install a Node.js there to spare that, or keep the one that is sent with --keep-runtime; the rest can only be looked at where there is one.",
      });
      return;
    }
    this.fail(isOfNode ? "node" : (OF_OPENSSH[code] ?? "shell"), failure);
  }

  /** Says of what was asked for and could not be looked at that it was not. */
  skipMissing(
    { via, engine = "ssh2", metricsPort }: DiagnoseOptions,
    forwards: readonly ForwardSpec[],
  ): void {
    const others = checksOfEngine[engine === "ssh2" ? "openssh" : "ssh2"];
    const skip = (check: CheckName, text: string) => {
      if (!this.#told.has(check) && !others.includes(check)) this.tell({ check, outcome: "skipped", text });
    };
    skip("login", "the jump host was not reached");
    skip("shell", "the login shell was not tried");
    skip("node", "no Node.js was looked for");
    skip("ssh", "the jump host's ssh was not looked at");
    skip("ssh-agent", "no ssh-agent was forwarded");
    skip("sshd", "sshd was not asked");
    const places = forwards.map(({ bind }) => formatBind(bind));
    if (metricsPort !== undefined) places.push(`localhost:${metricsPort}, for metrics`);
    if (places.length > 0) skip("listen", places.join(", "));
    const hops = parseHopList(via ?? [], "--via");
    if (hops.length > 0) skip("hop", hops.map(({ host }) => host).join(", "));
    if (forwards.length > 0) skip("target", forwards.map(({ target }) => formatTarget(target)).join(", "));
  }

  end(): CodedError | undefined {
    return this.#failure;
  }
}

function tellEvent(event: SessionEvent, report: Report): void {
  if (event.event === "hop.connected") report.loggedIn(event);
  if (event.event === "warning")
    report.tell({ check: "config", outcome: "warning", text: event.message, hint: event.hint });
}

/** What can't be had fails the session, which says why. */
async function tellKeys(plan: SessionPlan, report: Report, signal: AbortSignal | undefined): Promise<void> {
  const keys = await plan.keys(signal ?? new AbortController().signal).catch(() => []);
  if (keys.length === 0) return;
  const shown = keys.slice(0, SHOWN_KEYS).map(({ type, blob }) => `${type} ${fingerprint(blob)}`);
  const more = keys.length > SHOWN_KEYS ? ` and ${keys.length - SHOWN_KEYS} more` : "";
  report.ok("identity", `logs in with ${shown.join(", ")}${more}`);
}

function way({ via, jumps }: DiagnoseOptions): string {
  const list = (hops: typeof via) => (typeof hops === "string" ? hops : (hops ?? []).join(","));
  const parts = [list(jumps) && `over ${list(jumps)}`, list(via) && `and from there over ${list(via)}`];
  return parts
    .filter(Boolean)
    .map((part) => ` ${part}`)
    .join("");
}
