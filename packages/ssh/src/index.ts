export type { AlgorithmLimits } from "./algorithms.ts";
export { ChannelStream } from "./channel-stream.ts";
export { connectByFingerprint } from "./connect-by-fingerprint.ts";
export {
  type ChannelOpenOptions,
  type ChannelTarget,
  DataPath,
  type FastChannel,
  type FastRelay,
  isReset,
  type RelayEnd,
  readInto,
} from "./data-path/index.ts";
export { type BoundedText, ExecStream, type ExitStatus } from "./exec-stream.ts";
export { fingerprint, isFingerprint } from "./fingerprint.ts";
export { harmlessLines } from "./harmless-lines.ts";
export { type ExecOptions, Hop, type OpenOptions } from "./hop.ts";
export type { HopOptions, KeyboardPrompts } from "./hop-options.ts";
export {
  type CertificateFault,
  type HostAuthorities,
  hostCertificateFault,
  hostKeyIn,
  isCertificate,
} from "./host-certificate.ts";
export type { HostConfig } from "./host-config.ts";
export type { HostKeyPlace, HostKeyVerifier } from "./host-key.ts";
export type { Identity, PublicKey, SignRequest } from "./identity.ts";
export { connectChain, type JumpChain } from "./jump-chain.ts";
export type { KeyExchangeProof } from "./kex-proof.ts";
export { readPublicKeyFile } from "./key-file.ts";
export { KeyFileIdentity, type KeyFileOptions } from "./key-file-identity.ts";
export { type HostKeyQuestion, KnownHosts, type KnownHostsOptions } from "./known-hosts.ts";
export {
  type AttemptOutcome,
  attemptOutcome,
  charged,
  type PenaltyBudget,
  unspentBudget,
  waitMs,
} from "./penalty-budget.ts";
export { PinnedHostKeys } from "./pinned-host-keys.ts";
export { ProxyCommandStream } from "./proxy-command.ts";
export {
  parsePublicKey,
  parsePublicKeyLine,
  publicKeyBlob,
  publicKeyLine,
  publicKeyObject,
} from "./public-key.ts";
export { type ResolveOptions, resolveHost } from "./resolve-host.ts";
export { SshAgentIdentity, type SshAgentOptions } from "./ssh-agent-identity.ts";
export { agentMessage } from "./ssh-agent-message.ts";
export {
  ecdsaValue,
  isSignatureAlgorithmOf,
  signatureBlob,
  signatureValue,
  verifySignature,
} from "./ssh-signature.ts";
export {
  encodeUserauthRequest,
  isPublicKeyMethod,
  parseUserauthRequest,
  type UserauthRequest,
} from "./userauth-request.ts";
