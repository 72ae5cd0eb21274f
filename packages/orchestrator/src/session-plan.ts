import type { BindAddress, TargetAddress } from "@farside/protocol";
import type { AuditTrail } from "@farside/protocol/audit";
import type { Hop, JumpChain, PublicKey } from "@farside/ssh";
import type { DeclaredHop } from "./destination-guard.ts";
import type { Engine, EngineContext } from "./engine/engine.ts";
import { type ForwardSpec, formatBind, formatTarget } from "./forward-spec.ts";
import type { SessionFolder } from "./session-folder.ts";
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
    /** For a further login: bounds its first connect, and stands still while the identity is at work. */
    dialTimeoutMs?: number | undefined;
    deadline?: StartDeadline | undefined;
  }) => Promise<JumpChain>;
  /** Resolves when the identity can sign without waiting for a person; see `Identity.ready`. Asked before a further login. */
  readonly identityReady: (signal: AbortSignal) => Promise<void>;
  readonly forwards: readonly ForwardSpec[];
  /** Hops from the jump host on, the same for every forward. Asked for once the jump host is connected. */
  readonly route: (signal: AbortSignal) => Promise<readonly DeclaredHop[]>;
  /** The keys that can log in; may wait for a card. */
  readonly keys: (signal: AbortSignal) => Promise<readonly PublicKey[]>;
  /** Makes what listens and forwards on the jump host; the session ends it. */
  readonly engine: (context: EngineContext) => Engine;
  /** How long what runs on the jump host may hear nothing before it ends by itself. */
  readonly leaseMs: number;
  /** How long it may live without us, where it is left to itself; 0: not at all. */
  readonly ttlMs: number;
  /** What open relays get at its end, where whoever ends it does not say. */
  readonly graceMs: number;
  /** Runs from the first connect to `ready`; released by the session. */
  readonly startDeadline: StartDeadline;
  /** Whether what sshd of the jump host forbids this login to forward is not forwarded; see `respectSshdPolicy`. */
  readonly respectSshdPolicy?: boolean | undefined;
  readonly readyFile?: string | undefined;
  /** The session ends when its card is taken out. */
  readonly endsWithoutCard: boolean;
  /** The session's folder; finished by the session. */
  readonly folder: SessionFolder;
  /** What the session did is written down there; closed by the session. */
  readonly audit: AuditTrail;
  /** Releases what was opened for the session; called once, at its very end. */
  readonly release: () => Promise<void>;
}

/** A forward as events and files show it. */
export function forwardFields({ id, bound, target, via }: OpenForward) {
  return { id, bind: bound.map(formatBind), target: formatTarget(target), via: [...via] };
}
