import type { CodedError } from "@farside/protocol";

/**
 * What an sshd of OpenSSH 9.8 or later charges an address for (PerSourcePenalties of sshd_config(5), its defaults), in ms. It
 * refuses every connection from an address whose penalties, which run off in real time, add up to 15 s.
 */
const COSTS = {
  /** Nothing answered: sshd knows nothing of it. */
  unreachable: 0,
  "logged-in": 0,
  /** The connection ended before a login was tried. */
  "no-login": 1_000,
  /** It ended after one was tried. */
  "login-failed": 5_000,
  /** We left without being able to say so: sshd waits for us until its LoginGraceTime is over. */
  "left-behind": 10_000,
} as const;

export type AttemptOutcome = keyof typeof COSTS;

/** sshd's threshold is 15 s, and it counts in whole ones. */
const LIMIT_MS = 14_000;
/** What the next attempt may cost. */
const WORST_MS = COSTS["left-behind"];

/** What a login that failed with `error` may have cost. What was never dialled counts as if it had been. */
export function attemptOutcome({ code, data }: CodedError): AttemptOutcome {
  if (code === "hop.unreachable") return data?.["answered"] === true ? "no-login" : "unreachable";
  if (code === "timeout") return "left-behind";
  return code === "hop.handshake-failed" || code.startsWith("host-key.") ? "no-login" : "login-failed";
}

/** What an address is charged; a plain value. */
export interface PenaltyBudget {
  /** When the last of it has run off, on the caller's clock. */
  readonly endsAt: number;
}

export const unspentBudget: PenaltyBudget = { endsAt: Number.NEGATIVE_INFINITY };

/** The budget after an attempt at `now`. */
export function charged({ endsAt }: PenaltyBudget, outcome: AttemptOutcome, now: number): PenaltyBudget {
  return { endsAt: Math.max(endsAt, now) + COSTS[outcome] };
}

/** How long to wait until a further attempt can't come near sshd's threshold, whatever becomes of it; in ms. */
export function waitMs({ endsAt }: PenaltyBudget, now: number): number {
  return Math.max(0, endsAt - now + WORST_MS - LIMIT_MS);
}
