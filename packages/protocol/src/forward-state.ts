import * as v from "valibot";
import { type CodedError, toWire } from "./errors.ts";
import { MAX_STRING_LENGTH } from "./limits.ts";
import { wireError } from "./wire-error.ts";

/**
 * `opening`: the listener and the hops are being opened. `open`: connections are served. `degraded`: the listener is open, but
 * a hop or the target can't be had. `needs-signature`: a hop waits for the workstation's identity, to sign or for somebody who brings
 * it. `draining`: the listener is closed, relays have their grace. `closed`: nothing is left.
 */
export const forwardPhases = [
  "opening",
  "open",
  "degraded",
  "needs-signature",
  "draining",
  "closed",
] as const;
export type ForwardPhase = (typeof forwardPhases)[number];

/** What everybody is told of a forward's state. */
export const forwardState = v.object({
  phase: v.picklist(forwardPhases),
  /** What it waits for, in plain words. */
  waitsFor: v.optional(v.pipe(v.string(), v.maxLength(MAX_STRING_LENGTH))),
  /** In how many ms the next try begins, counted from when this was said; 0: it is under way. */
  retryInMs: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
  /** The last thing that went wrong, with its leg; it stays when all is well again. */
  lastError: v.optional(wireError),
});
export type ForwardState = v.InferOutput<typeof forwardState>;

/** All that a forward's state follows from. */
export interface ForwardHealth {
  readonly stage: "opening" | "open" | "draining" | "closed";
  /** The last hop of the route, and when it is dialled again, on a clock in ms; without `retryAt` not by itself. */
  readonly hop: { readonly isUp: true } | { readonly isUp: false; readonly retryAt?: number | undefined };
  /** The hop that a signature was asked for and not given yet. */
  readonly signingFor?: string | undefined;
  readonly isTargetUp: boolean;
  readonly lastError?: CodedError | undefined;
}

export const initialHealth: ForwardHealth = { stage: "opening", hop: { isUp: true }, isTargetUp: true };

export type ForwardEvent =
  | { readonly event: "listening" }
  | { readonly event: "open-failed"; readonly error: CodedError }
  | { readonly event: "close" }
  | { readonly event: "drained" }
  /** The last hop of the route is gone, or a try to have it again failed. */
  | { readonly event: "hop-down"; readonly error: CodedError; readonly retryAt?: number | undefined }
  | { readonly event: "hop-up" }
  | { readonly event: "signature-wanted"; readonly hop: string }
  /** It came, or is not wanted any more. */
  | { readonly event: "signature-over" }
  | { readonly event: "target-down"; readonly error: CodedError }
  | { readonly event: "target-up" };

/** What is known after `event`. Pure and total: what comes too late, or changes nothing, gives `health` itself. */
export function nextHealth(health: ForwardHealth, event: ForwardEvent): ForwardHealth {
  const { stage } = health;
  const isRunning = stage === "opening" || stage === "open";
  switch (event.event) {
    case "listening":
      return stage === "opening" ? { ...health, stage: "open", hop: { isUp: true } } : health;
    case "open-failed":
      return stage === "opening" ? { ...health, stage: "closed", lastError: event.error } : health;
    case "close":
      return isRunning ? { ...health, stage: "draining" } : health;
    case "drained":
      return stage === "draining" ? { ...health, stage: "closed" } : health;
    case "hop-down":
      if (stage !== "open") return health;
      return { ...health, hop: { isUp: false, retryAt: event.retryAt }, lastError: event.error };
    case "hop-up":
      return health.hop.isUp ? health : { ...health, hop: { isUp: true } };
    case "signature-wanted":
      return isRunning ? { ...health, signingFor: event.hop } : health;
    case "signature-over":
      return health.signingFor === undefined ? health : { ...health, signingFor: undefined };
    case "target-down":
      return stage === "open" ? { ...health, isTargetUp: false, lastError: event.error } : health;
    case "target-up":
      return health.isTargetUp ? health : { ...health, isTargetUp: true };
    default:
      return assertNever(event);
  }
}

/** Why a port, or a socket, was taken over; see section 7c of docs/protocol.md. */
export const takeoverReasons = [
  "same-name",
  "orchestrator-gone",
  "lease-over",
  "forced",
  "stale-socket",
] as const;

/** What is told of `health` at `now`, on the clock of its `retryAt`. */
export function forwardStateOf(
  { stage, hop, signingFor, isTargetUp, lastError }: ForwardHealth,
  now: number,
): ForwardState {
  const error = lastError === undefined ? {} : { lastError: toWire(lastError) };
  if (stage === "draining" || stage === "closed") return { phase: stage, ...error };
  if (signingFor !== undefined)
    return { phase: "needs-signature", waitsFor: `a signature for ${signingFor}`, ...error };
  if (stage === "opening") return { phase: "opening", ...error };
  if (!hop.isUp) {
    const isForSigner = lastError !== undefined && isOfSigner(lastError);
    const phase = isForSigner ? "needs-signature" : "degraded";
    const what = isForSigner ? "the workstation's identity" : "the hop";
    const { retryAt } = hop;
    if (retryAt !== undefined)
      return { phase, waitsFor: what, retryInMs: Math.max(0, Math.ceil(retryAt - now)), ...error };
    return { phase, waitsFor: `${what}; it is tried again when a connection needs it`, ...error };
  }
  return isTargetUp ? { phase: "open", ...error } : { phase: "degraded", waitsFor: "the target", ...error };
}

/** Whether there is a hop to log in to, and nobody who signs for that. An identity of the agent's own host is the hop's matter. */
function isOfSigner({ code, leg }: CodedError): boolean {
  if (leg === "hop" && code.startsWith("identity.")) return false;
  return leg === "card" || /^(?:card\.|identity\.|hop\.needs-signature$)/.test(code);
}

function assertNever(event: never): never {
  throw new Error(`no such event: ${JSON.stringify(event)}`);
}
