import type { KeyExchangeProof } from "./kex-proof.ts";

/** A public key as SSH writes it. */
export interface PublicKey {
  /** Key type as in authorized_keys: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` … */
  readonly type: string;
  /** Public key blob (RFC 4253, 6.6; RFC 5656; RFC 8709). */
  readonly blob: Uint8Array;
  readonly comment: string;
  /** Whether somebody is asked for each of its signatures (a PIN, a touch), as far as is known. */
  readonly asksForEachSignature?: boolean | undefined;
}

export interface SignRequest {
  readonly publicKey: PublicKey;
  /** Signature algorithm name: the key's type, or `rsa-sha2-256` / `rsa-sha2-512` for `ssh-rsa` keys. Never SHA-1. */
  readonly algorithm: string;
  /** The whole userauth request to be signed (RFC 4252, 7). */
  readonly data: Uint8Array;
  /** What the server proved in the first key exchange of this connection. */
  readonly proof: KeyExchangeProof;
  /** Who wants it, where many share an identity: where signatures wait in line, askers take turns. */
  readonly asker?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Reject with `card.removed` where the card is out, also one that is otherwise waited for: a host counts the time. */
  readonly failsWithoutCard?: boolean | undefined;
}

/**
 * Something that can prove who we are: a card, an ssh-agent, a key file, or (in the agent) the workstation's identity
 * at the other end of the control channel. Whoever made it closes it; hops only borrow it.
 */
export interface Identity extends AsyncDisposable {
  readonly kind: "card" | "agent" | "file" | "delegated";
  /** The keys in the order in which they are offered. May ask for a PIN. Rejects with `card.*` or `identity.*`. */
  publicKeys(options?: { signal?: AbortSignal | undefined }): Promise<readonly PublicKey[]>;
  /**
   * Resolves when a signature can be had without waiting for a person, as far as that can be known: the card is in and has its PIN. Asked
   * before a host is dialled, as sshd charges a login that waits. Rejects with `card.*`, or the signal's reason.
   */
  ready(options: Pick<SignRequest, "signal" | "asker">): Promise<void>;
  /** The bare signature value, without the algorithm name (RFC 4253, 6.6). Rejects with `card.*`, `identity.*` or `sign.refused`. */
  sign(request: SignRequest): Promise<Uint8Array>;
  /** Idempotent. */
  close(): Promise<void>;
}
