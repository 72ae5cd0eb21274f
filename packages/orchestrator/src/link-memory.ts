import type { CodedError } from "@farside/protocol";
import { signEvent } from "./delegated-signing.ts";
import { type DeclaredHop, DestinationGuard } from "./destination-guard.ts";
import type { SessionEventDraft } from "./event-log.ts";
import type { ForwardCounters } from "./forward-counters.ts";

/** What has to be known of an agent over all channels to it: what it was asked for, and what was signed for it. */
export interface LinkMemory {
  readonly guard: DestinationGuard;
  readonly hops: Map<string, DeclaredHop>;
  readonly counters: Map<string, ForwardCounters>;
}

/** The same, with how one channel ends. */
export interface LinkFacts extends LinkMemory {
  /** We want the end, so that whatever comes with it is no failure. */
  isStopping: boolean;
  /** It was asked for a port for metrics. */
  isMetricsAsked: boolean;
  /** It has said that it ends. */
  hasEnded: boolean;
  failure: CodedError | undefined;
}

export function newLinkMemory(emit: (event: SessionEventDraft) => void): LinkMemory {
  const guard = new DestinationGuard({ onDecision: (decision) => emit(signEvent(decision)) });
  return { guard, hops: new Map(), counters: new Map() };
}

/** Of a channel that was just opened. */
export function newLinkFacts(memory: LinkMemory): LinkFacts {
  return { ...memory, isStopping: false, isMetricsAsked: false, hasEnded: false, failure: undefined };
}

/** From now on it is known what the agent asks to sign for. */
export function declare({ hops, guard }: LinkMemory, route: readonly DeclaredHop[]): void {
  for (const hop of route) {
    hops.set(hop.hopId, hop);
    guard.declare(hop);
  }
}
