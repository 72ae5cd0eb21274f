import { CodedError } from "@farside/protocol";

/**
 * What we offer, most wanted first. A server that speaks none of it is refused with what it does speak; nothing here
 * uses SHA-1 or CBC, and compression is off (payload is mostly compressed or encrypted already).
 */

/**
 * Curve25519 is the fastest. No group exchange: the server chooses the prime, before it has shown who it is, and OpenSSL tests it for
 * up to a minute (8,192 bits, generator 5), in which nothing else of this process runs, no deadline either.
 */
const keyExchanges = [
  "curve25519-sha256",
  "curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group16-sha512",
  "diffie-hellman-group18-sha512",
  "diffie-hellman-group14-sha256",
] as const;

/** AES-GCM is what both Node and OpenSSH do fastest where there is AES in hardware (measured: twice chacha20). */
const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "chacha20-poly1305@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
] as const;

/** Only for the ctr ciphers; encrypt-then-MAC first. */
const macs = [
  "hmac-sha2-256-etm@openssh.com",
  "hmac-sha2-512-etm@openssh.com",
  "hmac-sha2-256",
  "hmac-sha2-512",
] as const;

/** Host key types that can be checked, in the order for a host of which nothing is known. */
const hostKeyTypes = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
] as const;

/** Signature algorithms of a key type, most wanted first; empty for a type that is not supported. Never SHA-1. */
export function signatureAlgorithmsOf(keyType: string): readonly string[] {
  if (keyType === "ssh-rsa") return ["rsa-sha2-512", "rsa-sha2-256"];
  return (hostKeyTypes as readonly string[]).includes(keyType) ? [keyType] : [];
}

/** The types of host keys that sign with one of `algorithms` (of a server's offer), ours first to last. */
export function hostKeyTypesOf(algorithms: readonly string[]): string[] {
  return hostKeyTypes.filter((type) => signatureAlgorithmsOf(type).some((name) => algorithms.includes(name)));
}

/** ssh2's names for its `algorithms` option. */
export interface OfferedAlgorithms {
  readonly kex: string[];
  readonly serverHostKey: string[];
  readonly cipher: string[];
  readonly hmac: string[];
  readonly compress: string[];
}

/** Algorithms that configuration allows, by their names on the wire; undefined allows all of ours. */
export interface AlgorithmLimits {
  readonly kex?: readonly string[] | undefined;
  readonly ciphers?: readonly string[] | undefined;
  readonly macs?: readonly string[] | undefined;
  readonly hostKeys?: readonly string[] | undefined;
  /** For our own signatures (PubkeyAcceptedAlgorithms). */
  readonly signatures?: readonly string[] | undefined;
}

/**
 * The offer for one host. `knownKeyTypes` come first, as in ssh(1), so that a host with several keys shows one that is
 * known; the others follow, so that a host that lost that key is reported as changed and not as "no common algorithm".
 * Throws `config.invalid` where the limits leave nothing.
 */
export function offeredAlgorithms(
  knownKeyTypes: readonly string[],
  limits: AlgorithmLimits = {},
): OfferedAlgorithms {
  const types = new Set([...knownKeyTypes, ...hostKeyTypes]);
  return {
    kex: allowed("KexAlgorithms", keyExchanges, limits.kex),
    serverHostKey: allowed("HostKeyAlgorithms", [...types].flatMap(signatureAlgorithmsOf), limits.hostKeys),
    cipher: allowed("Ciphers", ciphers, limits.ciphers),
    hmac: allowed("MACs", macs, limits.macs),
    compress: ["none"],
  };
}

function allowed(option: string, ours: readonly string[], limit: readonly string[] | undefined): string[] {
  const names = limit === undefined ? [...ours] : ours.filter((name) => limit.includes(name));
  if (names.length > 0) return names;
  throw new CodedError("config.invalid", `${option} allows nothing that farside speaks`, {
    hint: `farside speaks ${ours.join(", ")}.`,
  });
}
