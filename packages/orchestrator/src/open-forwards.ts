import { isIP } from "node:net";
import { type BindAddress, CodedError, isCodedError, type OpenForwardParams } from "@farside/protocol";
import type { AgentLink } from "./agent-link.ts";
import { formatHop } from "./delegated-signing.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import { DEFAULTS } from "./forward-options.ts";
import type { ForwardRequest } from "./forward-request.ts";
import { type ForwardSpec, formatBind } from "./forward-spec.ts";
import { type JudgeHostKey, LearnedRoute } from "./learned-route.ts";
import type { OpenForward } from "./session-plan.ts";
import type { SessionFolder, UndoEntry } from "./session-store.ts";

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
  const { folder } = plan;
  for (const [index, spec] of plan.forwards.entries()) {
    const { bind, target } = spec;
    const forward = forwardRequest(plan, index, spec, options.route);
    const entry = undoEntryOf(bind);
    if (entry !== undefined && !(index === 0 && isFirstAsked)) await folder.making(entry);
    let bound: readonly BindAddress[];
    try {
      bound = await route.try((hops) => link.openForward({ ...forward, route: hops }, signal));
    } catch (error) {
      // The agent has answered, so it listens nowhere; when it is gone instead, nobody knows.
      const isAnswered = isCodedError(error) && error.code !== "agent.gone" && !signal.aborted;
      if (entry !== undefined && isAnswered) await folder.undone(entry);
      throw error;
    }
    const found = bound.map(undoEntryOf)[0];
    if (entry === undefined && found !== undefined) await folder.making(found);
    checkBound(bind, bound, plan.host);
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
  const makes = [undoEntryOf(first.bind)].filter((entry) => entry !== undefined);
  return { request: forwardRequest(plan, 0, first, route), makes };
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

/** What the undo log has for `bind`; undefined for a port that is not known yet. */
function undoEntryOf(bind: BindAddress): UndoEntry | undefined {
  if (bind.kind === "unix") return { made: "socket", path: bind.path };
  return bind.port === 0 ? undefined : { made: "listener", port: bind.port };
}

/** The agent may not have opened something else than it was asked for. */
function checkBound(bind: ForwardSpec["bind"], bound: readonly BindAddress[], host: string): void {
  const isAsked = (address: BindAddress): boolean => {
    if (bind.kind === "unix" || address.kind === "unix") {
      return bind.kind === "unix" && address.kind === "unix" && bind.path === address.path;
    }
    if (address.port === 0 || (bind.port !== 0 && bind.port !== address.port)) return false;
    // A name that was asked for is some address of the host; whatever is told must be one.
    if (bind.kind === "tcp") return address.kind === "tcp" && isIP(address.address) !== 0;
    return address.kind === "loopback" || ["127.0.0.1", "::1"].includes(address.address);
  };
  if (bound.every(isAsked)) return;
  throw new CodedError(
    "protocol.bad-message",
    `the agent on ${host} listens elsewhere than on ${formatBind(bind)}`,
    {
      leg: "bind",
    },
  );
}
