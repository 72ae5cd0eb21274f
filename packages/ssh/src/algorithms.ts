/**
 * What we offer, most wanted first. A server that speaks none of it is refused with what it does speak; nothing here
 * uses SHA-1 or CBC, and compression is off (payload is mostly compressed or encrypted already).
 */

/** Curve25519 is the fastest; group exchange comes last, because it costs a round trip and the server's choice of prime. */
const keyExchanges = [
  "curve25519-sha256",
  "curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group16-sha512",
  "diffie-hellman-group18-sha512",
  "diffie-hellman-group14-sha256",
  "diffie-hellman-group-exchange-sha256",
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

/** ssh2's names for its `algorithms` option. */
export interface OfferedAlgorithms {
  readonly kex: string[];
  readonly serverHostKey: string[];
  readonly cipher: string[];
  readonly hmac: string[];
  readonly compress: string[];
}

/**
 * The offer for one host. `knownKeyTypes` come first, as in ssh(1), so that a host with several keys shows one that is
 * known; the others follow, so that a host that lost that key is reported as changed and not as "no common algorithm".
 */
export function offeredAlgorithms(knownKeyTypes: readonly string[]): OfferedAlgorithms {
  const types = new Set([...knownKeyTypes, ...hostKeyTypes]);
  return {
    kex: [...keyExchanges],
    serverHostKey: [...types].flatMap(signatureAlgorithmsOf),
    cipher: [...ciphers],
    hmac: [...macs],
    compress: ["none"],
  };
}
