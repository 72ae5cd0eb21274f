import { hostKeyIn, isSignatureAlgorithmOf, parsePublicKey, verifySignature } from "@farside/ssh";
import { WireReader } from "@farside/ssh/wire";

export type HostProofFault = "host-key-format" | "host-algorithm" | "server-signature";

/**
 * Checks the proof that a server is in a connection: `serverSignature` (RFC 4253, 8) by the host key over the session
 * identifier. Undefined where it is good, else what is wrong. SHA-1 and blobs in another than their one canonical form are not good.
 * Of a host certificate, the key that it is about has to have signed; whether the certificate itself is good is not looked at.
 */
export function hostProofFault(
  hostKey: Uint8Array,
  sessionId: Uint8Array,
  serverSignature: Uint8Array,
): HostProofFault | undefined {
  const key = hostKeyIn(hostKey);
  const keyType = key && orUndefined(() => parsePublicKey(key).type);
  if (key === undefined || keyType === undefined) return "host-key-format";
  const algorithm = orUndefined(() => new WireReader(serverSignature).name());
  if (algorithm !== undefined && !isSignatureAlgorithmOf(keyType, algorithm)) return "host-algorithm";
  return verifySignature(key, sessionId, serverSignature) ? undefined : "server-signature";
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
