import { setTimeout as wait } from "node:timers/promises";
import { anySignal, CodedError, type ErrorCode, errorTable, toCodedError } from "@farside/protocol";
import type { Hop, JumpChain } from "@farside/ssh";
import { StartDeadline } from "../start-deadline.ts";
import { backoffMs } from "./backoff.ts";
import { type AttemptOutcome, charged, type PenaltyBudget, waitMs } from "./penalty-budget.ts";

/** A host that can't be reached costs nothing but the try: it must be found soon after it is back. */
const UNREACHABLE = { baseMs: 250, capMs: 1_000 };
const REFUSING = { baseMs: 500, capMs: 15_000 };
/** TCP itself asks again after 1 s and 3 s, and too rarely later. */
const DIAL_TIMEOUT_MS = 2_000;
/** For networks where an answer takes longer than that, every so many attempts. */
const PATIENT_DIAL_TIMEOUT_MS = 5_000;
const PATIENT_EVERY = 4;
/** For the machines' part of one attempt; a card may take longer. */
const ATTEMPT_TIMEOUT_MS = 15_000;
/** Failures that another attempt may well not have, though the same command would: the link breaks at any moment. */
const OF_A_BROKEN_LINK: ReadonlySet<ErrorCode> = new Set([
  "hop.handshake-failed",
  "hop.channel-refused",
  "protocol.no-preamble",
  "agent.start-failed",
]);

export interface ReattachOptions {
  /** `user@host` of the jump host. */
  readonly host: string;
  /** Logs in, within `dialTimeoutMs` for the first connect; the caller owns what it resolves to. */
  readonly connect: (options: {
    readonly signal: AbortSignal;
    readonly dialTimeoutMs: number;
    readonly deadline: StartDeadline;
  }) => Promise<JumpChain>;
  /** Each login that was made, from then on the caller's. */
  readonly onConnected: (chain: JumpChain) => void;
  /** Attaches to the agent there. Rejects with `agent.gone` where it is no longer there. */
  readonly attach: (hop: Hop, signal: AbortSignal) => Promise<void>;
  /** What sshd there charges us; changed here, and kept from one time to the next. */
  readonly penalties: { budget: PenaltyBudget };
  /** How long the agent waits for us at most, from now on. */
  readonly leaseMs: number;
  readonly signal: AbortSignal;
}

/**
 * Logs in to the jump host and attaches to its agent, as often as it takes, for as long as the agent's lease may last.
 * Rejects with `lease.expired`, with the first failure that another attempt would have too (a refused login, another host
 * key, an agent that is gone), or with the signal's reason.
 */
export async function reattach(options: ReattachOptions): Promise<void> {
  const { host, signal, leaseMs } = options;
  const endsAt = performance.now() + leaseMs;
  const { penalties } = options;
  let outcome: AttemptOutcome = "unreachable";
  for (let failures = 0; ; failures += 1) {
    const now = performance.now();
    const pauseMs = backoffMs(failures, outcome === "unreachable" ? UNREACHABLE : REFUSING);
    const waitingMs = Math.max(pauseMs, waitMs(penalties.budget, now));
    const isLast = now + waitingMs >= endsAt;
    await wait(isLast ? Math.max(0, endsAt - now) : waitingMs, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
    if (isLast) throw tooLate(host, leaseMs);
    const failure = await attempt(options, failures);
    if (failure === undefined) return;
    signal.throwIfAborted();
    if (isFinal(failure)) throw failure;
    outcome = outcomeOf(failure);
    penalties.budget = charged(penalties.budget, outcome, performance.now());
  }
}

/** One login and what follows; undefined where it has attached. */
async function attempt(options: ReattachOptions, failures: number): Promise<CodedError | undefined> {
  const { host, connect, onConnected, attach, signal } = options;
  const isPatient = failures % PATIENT_EVERY === PATIENT_EVERY - 1;
  const deadline = new StartDeadline(ATTEMPT_TIMEOUT_MS, `connecting to ${host} again took too long`);
  const bounded = anySignal([signal, deadline.signal]);
  let isLost = false;
  try {
    const dialTimeoutMs = isPatient ? PATIENT_DIAL_TIMEOUT_MS : DIAL_TIMEOUT_MS;
    const chain = await connect({ signal: bounded.signal, dialTimeoutMs, deadline });
    onConnected(chain);
    void chain.last.closed.then(() => {
      isLost = true;
    });
    await attach(chain.last, bounded.signal);
    return undefined;
  } catch (error) {
    if (!isLost) return toCodedError(error);
    return new CodedError("hop.lost", `connecting to ${host} again: the connection was lost`, {
      leg: "jump",
    });
  } finally {
    bounded.release();
    deadline[Symbol.dispose]();
  }
}

function isFinal({ code }: CodedError): boolean {
  if (code === "agent.gone") return true;
  return !errorTable[code].retry && !OF_A_BROKEN_LINK.has(code);
}

function outcomeOf({ code }: CodedError): AttemptOutcome {
  if (code === "hop.unreachable") return "unreachable";
  return code === "hop.handshake-failed" ? "no-login" : "login-failed";
}

function tooLate(host: string, leaseMs: number): CodedError {
  return new CodedError(
    "lease.expired",
    `connecting to ${host} again: it could not be reached for ${leaseMs / 1000} s, the agent's lease`,
    {
      leg: "jump",
      hint: "The agent there has ended by itself. A longer --lease outlasts longer interruptions.",
    },
  );
}
