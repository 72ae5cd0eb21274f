import type { SignParams } from "@farside/protocol";
import { MAX_SIGN_DATA_BYTES } from "@farside/protocol";
import {
  isPublicKeyMethod,
  isSignatureAlgorithmOf,
  type PublicKey,
  parseUserauthRequest,
  type UserauthRequest,
} from "@farside/ssh";
import { hostProofFault } from "./host-proof.ts";

/** Signatures that one hop may get within a minute. */
export const MAX_SIGNATURES_PER_MINUTE = 10;
/** Connections that are remembered as signed for. */
const MAX_REMEMBERED_SESSIONS = 10_000;
/** A session identifier is an exchange hash: SHA-1's to SHA-512's length. */
const SESSION_ID_BYTES = { min: 20, max: 64 } as const;
const MINUTE_MS = 60_000;

/** A destination that the operator asked for: the only thing that a signature may be for. */
export interface DeclaredHop {
  readonly hopId: string;
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** Host keys that known_hosts or a pinned fingerprint has for it. */
  readonly hostKeys: readonly Uint8Array[];
  /** Pinned ones: a key with one of them is declared once it is reported. */
  readonly fingerprints?: readonly string[] | undefined;
  /** Our keys that may log in there. */
  readonly publicKeys: readonly PublicKey[];
}

/** Why a signature was refused. Each check has its own word. */
export type RefusalReason =
  | "undeclared-hop"
  | "format"
  | "not-userauth"
  | "session-id"
  | "service"
  | "method"
  | "user"
  | "public-key"
  | "algorithm"
  | "host-key"
  | "bound-host-key"
  | "host-key-format"
  | "host-algorithm"
  | "server-signature"
  | "replay"
  | "budget";

export type GuardDecision =
  | {
      readonly decision: "signed";
      readonly reason: "declared-destination";
      readonly hop: DeclaredHop;
      readonly algorithm: string;
      readonly publicKey: PublicKey;
      /** A copy of the bytes that were judged: sign these, not the request's, which others may still write to. */
      readonly data: Uint8Array;
    }
  | {
      readonly decision: "refused";
      readonly reason: RefusalReason;
      readonly hop: DeclaredHop | undefined;
      /** As the request names it; may be hostile text. */
      readonly algorithm: string;
    };

export interface DestinationGuardOptions {
  /** Milliseconds that never go back. Default: `performance.now()`. */
  readonly now?: () => number;
  /** Called with every decision, before it takes effect. */
  readonly onDecision: (decision: GuardDecision) => void;
}

/**
 * Decides whether a signature that the jump host asks for may be made. Yes means all of: it is a publickey userauth
 * request for the declared hop's user and one of our keys, the server holds one of the hop's host keys and has signed
 * this very session identifier with it, no signature was made for this connection before, and the hop had fewer than
 * ten in the last minute. Everything else, however little it differs, is refused. Holds no secret and signs nothing.
 */
export class DestinationGuard {
  readonly #hops = new Map<string, DeclaredHop>();
  readonly #signedSessions = new Set<string>();
  readonly #signedAt = new Map<string, number[]>();
  readonly #readiedAt = new Map<string, number[]>();
  readonly #now: () => number;
  readonly #onDecision: (decision: GuardDecision) => void;

  constructor(options: DestinationGuardOptions) {
    this.#now = options.now ?? (() => performance.now());
    this.#onDecision = options.onDecision;
  }

  /** Allows signatures for `hop` from now on. Declaring the same id again replaces what was declared, not its budget. */
  declare(hop: DeclaredHop): void {
    this.#hops.set(hop.hopId, hop);
  }

  /** A "signed" decision uses up the connection and counts, whatever becomes of the signature. */
  decide(request: SignParams): GuardDecision {
    const hop = this.#hops.get(request.hopId);
    const data = isWellFormed(request) ? Uint8Array.from(request.data) : undefined;
    const parsed = data === undefined ? undefined : userauthIn(data);
    const decision = this.#judge(request, hop, data, parsed);
    if (decision.decision === "signed" && parsed !== undefined) {
      this.#remember(decision.hop.hopId, parsed.sessionId);
    }
    this.#onDecision(decision);
    return decision;
  }

  /** Why the identity is not to be made ready for `hopId`, which may ask a person for something; undefined counts as once. */
  readyFault(hopId: string): Extract<RefusalReason, "undeclared-hop" | "budget"> | undefined {
    if (!this.#hops.has(hopId)) return "undeclared-hop";
    const recent = this.#recent(hopId, this.#readiedAt);
    if (recent.length >= MAX_SIGNATURES_PER_MINUTE) return "budget";
    this.#readiedAt.set(hopId, [...recent, this.#now()]);
    return undefined;
  }

  #judge(
    request: SignParams,
    hop: DeclaredHop | undefined,
    data: Uint8Array | undefined,
    parsed: UserauthRequest | undefined,
  ): GuardDecision {
    const algorithm = parsed?.algorithm ?? "";
    const refuse = (reason: RefusalReason): GuardDecision => ({
      decision: "refused",
      reason,
      hop,
      algorithm,
    });
    if (hop === undefined) return refuse("undeclared-hop");
    if (data === undefined) return refuse("format");
    if (parsed === undefined) return refuse("not-userauth");
    const reason =
      requestFault(parsed, hop) ?? hostFault(request, parsed, hop) ?? this.#limitFault(parsed, hop);
    if (reason !== undefined) return refuse(reason);
    const publicKey = findKey(hop, parsed.publicKey);
    if (publicKey === undefined) return refuse("public-key");
    return { decision: "signed", reason: "declared-destination", hop, algorithm, publicKey, data };
  }

  #limitFault({ sessionId }: UserauthRequest, { hopId }: DeclaredHop): RefusalReason | undefined {
    if (this.#signedSessions.has(sessionId.toString("hex"))) return "replay";
    return this.#recent(hopId).length >= MAX_SIGNATURES_PER_MINUTE ? "budget" : undefined;
  }

  #recent(hopId: string, times = this.#signedAt): number[] {
    const since = this.#now() - MINUTE_MS;
    return (times.get(hopId) ?? []).filter((at) => at > since);
  }

  #remember(hopId: string, sessionId: Buffer): void {
    this.#signedAt.set(hopId, [...this.#recent(hopId), this.#now()]);
    this.#signedSessions.add(sessionId.toString("hex"));
    const [oldest] = this.#signedSessions;
    if (this.#signedSessions.size > MAX_REMEMBERED_SESSIONS && oldest !== undefined) {
      this.#signedSessions.delete(oldest);
    }
  }
}

/** Undefined where it is anything else, down to one byte too many. */
function userauthIn(data: Uint8Array): UserauthRequest | undefined {
  try {
    return parseUserauthRequest(data);
  } catch {
    return undefined;
  }
}

/** The protocol has validated this already; the guard does not rely on it. */
function isWellFormed({ data, hostKey, serverSignature }: SignParams): boolean {
  if (![data, hostKey, serverSignature].every((value) => value instanceof Uint8Array)) return false;
  return data.length > 0 && data.length <= MAX_SIGN_DATA_BYTES;
}

function requestFault(request: UserauthRequest, hop: DeclaredHop): RefusalReason | undefined {
  const { length } = request.sessionId;
  if (length < SESSION_ID_BYTES.min || length > SESSION_ID_BYTES.max) return "session-id";
  if (!request.service.equals(Buffer.from("ssh-connection"))) return "service";
  if (!isPublicKeyMethod(request.method)) return "method";
  if (!request.user.equals(Buffer.from(hop.user))) return "user";
  const key = findKey(hop, request.publicKey);
  if (key === undefined) return "public-key";
  return isSignatureAlgorithmOf(key.type, request.algorithm) ? undefined : "algorithm";
}

function hostFault(
  params: SignParams,
  request: UserauthRequest,
  hop: DeclaredHop,
): RefusalReason | undefined {
  const { hostKey, serverSignature } = params;
  if (!hop.hostKeys.some((accepted) => sameBytes(accepted, hostKey))) return "host-key";
  if (request.hostKey !== undefined && !sameBytes(request.hostKey, hostKey)) return "bound-host-key";
  return hostProofFault(hostKey, request.sessionId, serverSignature);
}

function findKey(hop: DeclaredHop, blob: Uint8Array): PublicKey | undefined {
  return hop.publicKeys.find((key) => sameBytes(key.blob, blob));
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
