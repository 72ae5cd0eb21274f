import { matchesPattern } from "./known-hosts-file.ts";
import { parsePublicKey } from "./public-key.ts";
import { keyTypeOf } from "./public-key-type.ts";
import { verifySignature } from "./ssh-signature.ts";
import { encodeString, WireReader } from "./wire.ts";

/** The certificate authorities that known_hosts has for one host. */
export interface HostAuthorities {
  /** What the host is called: a certificate has to be for it. */
  readonly name: string;
  /** Public keys of the `@cert-authority` lines. */
  readonly keys: readonly Uint8Array[];
  /** Public keys that are `@revoked` for the host, authorities and hosts' own. */
  readonly revoked: readonly Uint8Array[];
}

/** Why a host certificate does not count. */
export type CertificateFault =
  | "certificate-format"
  | "certificate-kind"
  | "certificate-authority"
  | "certificate-revoked"
  | "certificate-signature"
  | "certificate-options"
  | "certificate-principal"
  | "certificate-time";

/** A certificate of OpenSSH (its PROTOCOL.certkeys), read and not yet judged. Byte strings are views. */
interface Certificate {
  /** The key that is certified, as a plain blob. */
  readonly key: Buffer;
  /** 1 for users, 2 for hosts. */
  readonly kind: number;
  readonly principals: readonly string[];
  /** Seconds since 1970. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: Buffer;
  readonly authority: Buffer;
  readonly signed: Uint8Array;
  readonly signature: Buffer;
}

const SUFFIX = "-cert-v01@openssh.com";
const FOR_HOSTS = 2;
/** Fields that a plain key of each type has behind its type. */
const keyFields: Readonly<Record<string, number>> = {
  "ssh-ed25519": 1,
  "ssh-rsa": 2,
  "ecdsa-sha2-nistp256": 2,
  "ecdsa-sha2-nistp384": 2,
  "ecdsa-sha2-nistp521": 2,
};

/** Whether `blob` says that it is a certificate, good or not. */
export function isCertificate(blob: Uint8Array): boolean {
  try {
    return keyTypeOf(blob).endsWith(SUFFIX);
  } catch {
    return false;
  }
}

/**
 * The key itself that a host shows: `blob` of a plain key as it is, or the one that a certificate is about, whose own goodness is not
 * looked at. Undefined for a certificate that can't be read.
 */
export function hostKeyIn(blob: Uint8Array): Uint8Array | undefined {
  if (!isCertificate(blob)) return blob;
  return readOrUndefined(blob)?.key;
}

/**
 * Judges a certificate as ssh(1) does: for hosts, by an authority of this host, for its name, within its time, neither
 * key revoked, no critical option. Undefined where it is good, else what is wrong. SHA-1 is not good. `now`: ms since 1970.
 */
export function hostCertificateFault(
  blob: Uint8Array,
  { name, keys, revoked }: HostAuthorities,
  now: number = Date.now(),
): CertificateFault | undefined {
  const certificate = readOrUndefined(blob);
  if (certificate === undefined) return "certificate-format";
  const { key, authority, kind, principals, signed, signature } = certificate;
  if (kind !== FOR_HOSTS) return "certificate-kind";
  const isOneOf = (list: readonly Uint8Array[], wanted: Buffer) => list.some((each) => wanted.equals(each));
  if (isOneOf(revoked, key) || isOneOf(revoked, authority)) return "certificate-revoked";
  if (!isOneOf(keys, authority)) return "certificate-authority";
  if (!verifySignature(authority, signed, signature)) return "certificate-signature";
  if (certificate.criticalOptions.length > 0) return "certificate-options";
  const seconds = BigInt(Math.floor(now / 1000));
  if (seconds < certificate.validAfter || seconds >= certificate.validBefore) return "certificate-time";
  // As ssh: one without a name is for every host of its authority.
  const isForIt = principals.length === 0 || principals.some((pattern) => matchesPattern(pattern, name));
  return isForIt ? undefined : "certificate-principal";
}

function readOrUndefined(blob: Uint8Array): Certificate | undefined {
  try {
    return read(blob);
  } catch {
    return undefined;
  }
}

function read(blob: Uint8Array): Certificate {
  const reader = new WireReader(blob);
  const name = reader.name();
  const type = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : "";
  const count = Object.hasOwn(keyFields, type) ? keyFields[type] : undefined;
  if (count === undefined) throw new RangeError("a certificate of an unknown kind of key");
  const nonce = reader.string();
  if (nonce.length === 0) throw new RangeError("a certificate without a nonce");
  const fields = Array.from({ length: count }, () => encodeString(reader.string()));
  const key = Buffer.concat([encodeString(type), ...fields]);
  parsePublicKey(key);
  readUint64(reader);
  const kind = reader.uint32();
  reader.string();
  const principals = readStrings(reader.string());
  const [validAfter, validBefore] = [readUint64(reader), readUint64(reader)];
  const criticalOptions = reader.string();
  const [_extensions, _reserved] = [reader.string(), reader.string()];
  const authority = reader.string();
  parsePublicKey(authority);
  const signed = blob.subarray(0, blob.length - reader.remaining);
  const signature = reader.string();
  reader.end();
  return { key, kind, principals, validAfter, validBefore, criticalOptions, authority, signed, signature };
}

function readStrings(bytes: Uint8Array): string[] {
  const reader = new WireReader(bytes);
  const strings: string[] = [];
  while (reader.remaining > 0) strings.push(reader.string().toString("latin1"));
  return strings;
}

function readUint64(reader: WireReader): bigint {
  return (BigInt(reader.uint32()) << 32n) | BigInt(reader.uint32());
}
