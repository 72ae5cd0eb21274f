import { setTimeout as wait } from "node:timers/promises";
import { anySignal, CodedError, deadline, type ErrorCode, errorTable, toCodedError } from "@farside/protocol";
import {
  type AttemptOutcome,
  attemptOutcome,
  charged,
  type Hop,
  type JumpChain,
  type PenaltyBudget,
  waitMs,
} from "@farside/ssh";
import { StartDeadline } from "../start-deadline.ts";
import { backoffMs } from "./backoff.ts";

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
  /** Resolves when the identity can sign without waiting for a person: a login that waits for the card would be charged. */
  readonly identityReady: (signal: AbortSignal) => Promise<void>;
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
    const waitingMs = pauseMs + waitMs(penalties.budget, now);
    const isLast = now + waitingMs >= endsAt;
    await wait(isLast ? Math.max(0, endsAt - now) : waitingMs, undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
    if (isLast) throw tooLate(host, `it could not be reached for ${leaseMs / 1000} s, the agent's lease`);
    const failure = (await notReady(options, endsAt)) ?? (await attempt(options, failures));
    if (failure === undefined) return;
    signal.throwIfAborted();
    if (isFinal(failure.error)) throw failure.error;
    outcome = failure.outcome;
    penalties.budget = charged(penalties.budget, outcome, performance.now());
  }
}

interface Failure {
  readonly error: CodedError;
  readonly outcome: AttemptOutcome;
}

/** Why the identity can't sign; undefined where it can. Of this the host hears nothing. */
async function notReady(
  { identityReady, host, leaseMs, signal }: ReattachOptions,
  endsAt: number,
): Promise<Failure | undefined> {
  const why = `nothing could sign for ${leaseMs / 1000} s, the agent's lease`;
  const limit = deadline(Math.max(0, endsAt - performance.now()), () => tooLate(host, why), { signal });
  try {
    await identityReady(limit.signal);
    return undefined;
  } catch (error) {
    return { error: toCodedError(error), outcome: "unreachable" };
  } finally {
    limit.release();
  }
}

/** One login and what follows; undefined where it has attached. */
async function attempt(options: ReattachOptions, failures: number): Promise<Failure | undefined> {
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
    const failure = toCodedError(error);
    if (!isLost) return { error: failure, outcome: attemptOutcome(failure) };
    const message = `connecting to ${host} again: the connection was lost`;
    return { error: new CodedError("hop.lost", message, { leg: "jump" }), outcome: "login-failed" };
  } finally {
    bounded.release();
    deadline[Symbol.dispose]();
  }
}

function isFinal({ code }: CodedError): boolean {
  if (code === "agent.gone") return true;
  return code === "lease.expired" || !(errorTable[code].retry || OF_A_BROKEN_LINK.has(code));
}

function tooLate(host: string, why: string): CodedError {
  return new CodedError("lease.expired", `connecting to ${host} again: ${why}`, {
    leg: "jump",
    hint: "The agent there has ended by itself. A longer --lease outlasts longer interruptions.",
  });
}
