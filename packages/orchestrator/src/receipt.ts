import { setTimeout as wait } from "node:timers/promises";
import { deadline, isCodedError, type Receipt } from "@farside/protocol";
import type { Hop } from "@farside/ssh";
import { type Leftovers, type LookMode, lookForLeftovers, type Traces } from "./leftovers.ts";

/** How long one look may take. */
export const LOOK_TIMEOUT_MS = 5_000;
/** When each look is made, counted from the first, and whether it only looks: an agent that ends by itself needs a moment. */
const LOOKS: readonly Look[] = [
  { afterMs: 0, mode: "look" },
  { afterMs: 50, mode: "look" },
  { afterMs: 150, mode: "look" },
  { afterMs: 400, mode: "look" },
  { afterMs: 800, mode: "end" },
  { afterMs: 1_200, mode: "look" },
  { afterMs: 1_500, mode: "kill" },
  { afterMs: 1_600, mode: "kill" },
  { afterMs: 1_800, mode: "look" },
];

/** While relays have their grace. */
const GRACE_LOOK_MS = { first: 100, most: 1_000 } as const;

interface Look {
  readonly afterMs: number;
  readonly mode: LookMode;
}

export interface ReceiptOptions {
  readonly session: string;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** A connection to it; borrowed. Undefined or lost: nothing can be looked at. */
  readonly hop: Pick<Hop, "exec"> | undefined;
  readonly traces: Traces;
  /** Whoever can't wait: the receipt then says that it is not complete. */
  readonly signal?: AbortSignal | undefined;
  /** Nothing ends by itself any more: it is told to at the first look, and has so long for its open relays. */
  readonly graceMs?: number | undefined;
  /** Why the host can't be looked at; default: what the look rejected with. */
  readonly whyNot?: string | undefined;
}

/**
 * Looks at the jump host until nothing of the session is left there, ends what does not end by itself, and tells what it
 * saw last. Never rejects: a host that can't be looked at gives a receipt that is not clean and says so.
 */
export async function makeReceipt(options: ReceiptOptions): Promise<Receipt> {
  const { session, host, hop, traces, signal } = options;
  if (hop === undefined) return unverified(session, host, options.whyNot ?? "there is no connection to it");
  const startedAt = performance.now();
  let found: Leftovers = { processes: [], listeners: [], files: [] };
  let refusal: unknown;
  try {
    for (const { afterMs, mode } of looks(options.graceMs)) {
      await wait(Math.max(0, startedAt + afterMs - performance.now()), undefined, signal && { signal });
      const limit = deadline(LOOK_TIMEOUT_MS, "the look took too long", { signal });
      try {
        // Nobody is left who would remove them.
        const isOrphaned = found.processes.length === 0 && found.files.length > 0;
        found = await lookForLeftovers(hop, traces, isOrphaned ? "kill" : mode, limit.signal);
        refusal = undefined;
      } catch (error) {
        // With MaxSessions 1, the agent's channel may still be counted.
        if (!isCodedError(error) || error.code !== "hop.channel-refused") throw error;
        refusal = error;
        continue;
      } finally {
        limit.release();
      }
      if (isNothing(found)) return { session, host, ...emptied(found), clean: true };
    }
    if (refusal !== undefined) throw refusal;
    return { session, host, ...emptied(found), clean: false };
  } catch (error) {
    return unverified(
      session,
      host,
      options.whyNot ?? (isCodedError(error) ? error.message : "it was interrupted"),
    );
  }
}

/** The receipt of a host that could not be looked at. */
export function unverified(session: string, host: string, why: string): Receipt {
  const line = `unknown: ${host} could not be looked at: ${why}`;
  return { session, host, processes: [line], listeners: [line], files: [line], clean: false };
}

function isNothing({ processes, listeners, files }: Leftovers): boolean {
  return processes.length + listeners.length + files.length === 0;
}

function emptied({ processes, listeners, files }: Leftovers) {
  return { processes: [...processes], listeners: [...listeners], files: [...files] };
}

function* looks(graceMs: number | undefined): Iterable<Look> {
  if (graceMs !== undefined) {
    yield { afterMs: 0, mode: "end" };
    let pause: number = GRACE_LOOK_MS.first;
    for (let afterMs = pause; afterMs < graceMs; afterMs += pause) {
      yield { afterMs, mode: "look" };
      pause = Math.min(2 * pause, GRACE_LOOK_MS.most);
    }
  }
  for (const { afterMs, mode } of LOOKS) yield { afterMs: afterMs + (graceMs ?? 0), mode };
}
