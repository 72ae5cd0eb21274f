/**
 * What a server proves in the first key exchange (RFC 4253, 8; RFC 5656, 4): its host key, and that key's signature
 * over the exchange hash, which is the session identifier from then on.
 */
export interface KeyExchangeProof {
  readonly hostKey: Uint8Array;
  /** Signature blob: algorithm name and value. */
  readonly signature: Uint8Array;
}
