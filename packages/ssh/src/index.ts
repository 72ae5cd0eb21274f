export type { HostKeyPlace, HostKeyVerifier } from "./host-key.ts";
export type { Identity, PublicKey, SignRequest } from "./identity.ts";
export type { KeyExchangeProof } from "./kex-proof.ts";
