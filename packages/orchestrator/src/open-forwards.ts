import type { OpenForwardParams } from "@farside/protocol";
import type { AgentLink } from "./agent-link.ts";
import { formatHop } from "./delegated-signing.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import { DEFAULTS } from "./forward-options.ts";
import type { ForwardRequest } from "./forward-request.ts";
import type { ForwardSpec } from "./forward-spec.ts";
import { type JudgeHostKey, LearnedRoute } from "./learned-route.ts";
import { recordedBind, undoEntryOf } from "./recorded-bind.ts";
import type { SessionFolder } from "./session-folder.ts";
import type { OpenForward } from "./session-plan.ts";
import type { UndoEntry } from "./session-record.ts";

/** What of a session's plan is asked of an agent. */
export interface ForwardPlan {
  readonly forwards: readonly ForwardSpec[];
  readonly admission: OpenForwardParams["admission"];
  /** Relays of a forward at a time. 0: no limit of its own. */
  readonly maxRelays: number;
  /** Connections to the last hop of the route. Undefined: what its keys allow; see `connectionsFor`. */
  readonly connections?: number | undefined;
  /** How often the target is dialled to know whether it can be had. */
  readonly probeMs?: number | undefined;
  /** Of whom ports are taken over. */
  readonly takeOver?: OpenForwardParams["takeOver"];
}

export interface OpenForwardsOptions {
  readonly plan: ForwardPlan & {
    /** Decides about a host key that the jump host reports for a hop: resolves where it may be declared too. */
    readonly judgeHostKey: JudgeHostKey;
    /** `user@host` of the jump host. */
    readonly host: string;
    readonly folder: Pick<SessionFolder, "making" | "undone">;
  };
  readonly link: Pick<AgentLink, "openForward">;
  /** The first was asked with the hello, and its entry is in the undo log. Default: no. */
  readonly isFirstAsked?: boolean | undefined;
  readonly route: readonly DeclaredHop[];
  readonly onOpen: (forward: OpenForward) => void;
  readonly signal: AbortSignal;
}

/**
 * Opens every forward, one after the other: the first connects the hops that all share. Where the jump host reports a host
 * key that was not declared, it is judged, and declared if it may be.
 */
export async function openForwards(options: OpenForwardsOptions): Promise<void> {
  const { plan, link, onOpen, isFirstAsked = false, signal } = options;
  const route = new LearnedRoute(options.route, plan.judgeHostKey, signal);
  const { folder, host } = plan;
  for (const [index, spec] of plan.forwards.entries()) {
    const { bind, target } = spec;
    const forward = forwardRequest(plan, index, spec, options.route);
    const open = () => route.try((hops) => link.openForward({ ...forward, route: hops }, signal));
    const isRecorded = index === 0 && isFirstAsked;
    const bound = await recordedBind(bind, open, { folder, host, isRecorded, signal });
    onOpen({ id: forward.forwardId, bound, target, via: route.hops.map(formatHop) });
  }
}

/** The first forward, for whoever asks it with the hello, and what it makes, for the undo log. */
export function firstForward(
  plan: ForwardPlan,
  route: readonly DeclaredHop[],
): { readonly request: ForwardRequest; readonly makes: readonly UndoEntry[] } | undefined {
  const [first] = plan.forwards;
  if (first === undefined) return undefined;
  const entry = undoEntryOf(first.bind);
  return { request: forwardRequest(plan, 0, first, route), makes: entry === undefined ? [] : [entry] };
}

function forwardRequest(
  plan: ForwardPlan,
  index: number,
  { bind, target }: ForwardSpec,
  route: readonly DeclaredHop[],
): ForwardRequest {
  const { admission, maxRelays, probeMs, takeOver, connections = connectionsFor(route) } = plan;
  return {
    ...{ forwardId: String(index + 1), bind, target, route, admission, maxRelays, connections },
    ...(probeMs !== undefined && { probeMs }),
    ...(takeOver && { takeOver }),
  };
}

/** How many connections relays may be spread over where nobody said: each is signed for, and people are asked only once. */
export function connectionsFor(route: readonly DeclaredHop[]): number {
  const [preferred] = route.at(-1)?.publicKeys ?? [];
  // Keys of FIDO authenticators want a touch.
  const isAskedFor = preferred?.asksForEachSignature === true || preferred?.type.startsWith("sk-") === true;
  return isAskedFor ? 1 : DEFAULTS.connections;
}
