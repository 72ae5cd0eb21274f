import type { BindAddress, OpenForwardParams, OrchestratorHello, TargetAddress } from "@farside/protocol";
import type { Hop, Identity, JumpChain } from "@farside/ssh";
import type { AgentBundle } from "./deploy.ts";
import type { DeclaredHop } from "./destination-guard.ts";
import { type ForwardSpec, formatBind, formatTarget } from "./forward-spec.ts";
import type { SessionFolder } from "./session-store.ts";
import type { StartDeadline } from "./start-deadline.ts";

/** A forward that is open. */
export interface OpenForward {
  /** `1`, `2` … in the order in which they were asked for. */
  readonly id: string;
  /** What is listened on, in full: `127.0.0.1` and `::1` each, and the port that was free. */
  readonly bound: readonly BindAddress[];
  readonly target: TargetAddress;
  /** `user@host:port` of each hop from the jump host on. */
  readonly via: readonly string[];
}

/** What a session needs once everything about it is decided: nothing here reads a configuration any more. */
export interface SessionPlan {
  readonly name: string;
  /** `user@host` of the jump host. */
  readonly host: string;
  /** Connects to the jump host. The session owns what it resolves to. */
  readonly connect: (options: {
    signal: AbortSignal;
    onConnected: (place: { user: string; host: string; port: number }, hop: Hop) => void;
  }) => Promise<JumpChain>;
  /** Signs for hops of the route; borrowed. */
  readonly identity: Pick<Identity, "sign">;
  readonly forwards: readonly ForwardSpec[];
  /** Hops from the jump host on, the same for every forward. Asked for once the jump host is connected. */
  readonly route: (signal: AbortSignal) => Promise<readonly DeclaredHop[]>;
  /** Decides about a host key that the jump host reports for a hop: resolves where it may be declared too. */
  readonly judgeHostKey: (hop: DeclaredHop, blob: Uint8Array, signal: AbortSignal) => Promise<void>;
  readonly admission: OpenForwardParams["admission"];
  /** Relays of a forward at a time. 0: no limit of its own. */
  readonly maxRelays: number;
  /** Connections to the last hop of the route. Undefined: what its keys allow; see `connectionsFor`. */
  readonly connections?: number | undefined;
  readonly hello: Omit<OrchestratorHello, "protocol" | "capabilities" | "session">;
  /** Runs from the first connect to `ready`; released by the session. */
  readonly startDeadline: StartDeadline;
  readonly bundle: AgentBundle;
  readonly remoteNode?: string | undefined;
  /** Whether what sshd of the jump host forbids this login to forward is not forwarded; see `respectSshdPolicy`. */
  readonly respectSshdPolicy?: boolean | undefined;
  readonly readyFile?: string | undefined;
  readonly onAgentLog?: ((line: string) => void) | undefined;
  /** The session's folder; finished by the session. */
  readonly folder: SessionFolder;
  /** Releases what was opened for the session; called once, at its very end. */
  readonly release: () => Promise<void>;
}

/** A forward as events and files show it. */
export function forwardFields({ id, bound, target, via }: OpenForward) {
  return { id, bind: bound.map(formatBind), target: formatTarget(target), via: [...via] };
}
