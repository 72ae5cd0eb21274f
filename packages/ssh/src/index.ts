// Connections
export { ChannelStream } from "./channel-stream.ts";
export { type BoundedText, ExecStream, type ExitStatus } from "./exec-stream.ts";
// Host keys
export { fingerprint, isFingerprint } from "./fingerprint.ts";
export { type ExecOptions, Hop, type OpenOptions } from "./hop.ts";
export type { HopOptions, KeyboardPrompts } from "./hop-options.ts";
export type { HostKeyPlace, HostKeyVerifier } from "./host-key.ts";
// Identities
export type { Identity, PublicKey, SignRequest } from "./identity.ts";
export type { KeyExchangeProof } from "./kex-proof.ts";
export { KeyFileIdentity, type KeyFileOptions } from "./key-file-identity.ts";
export { type HostKeyQuestion, KnownHosts, type KnownHostsOptions } from "./known-hosts.ts";
export { PinnedHostKeys } from "./pinned-host-keys.ts";
export { printable, printableLines } from "./printable.ts";
export {
  parsePublicKey,
  parsePublicKeyLine,
  publicKeyBlob,
  publicKeyLine,
  publicKeyObject,
} from "./public-key.ts";
export {
  ecdsaValue,
  isSignatureAlgorithmOf,
  signatureBlob,
  signatureValue,
  verifySignature,
} from "./ssh-signature.ts";
export { encodeUserauthRequest, parseUserauthRequest, type UserauthRequest } from "./userauth-request.ts";
