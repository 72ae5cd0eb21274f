import { type KeyObject, sign, verify } from "node:crypto";
import { publicKeyObject } from "./public-key.ts";
import { keyTypeOf } from "./public-key-type.ts";
import { encodeMpint, encodeString, WireReader } from "./wire.ts";

interface Scheme {
  readonly keyType: string;
  /** Null where the key's own algorithm hashes. */
  readonly hash: string | null;
  /** Size of a coordinate of the curve, for ECDSA only. */
  readonly fieldBytes?: number;
}

/** Every signature algorithm that is made or accepted. SHA-1 (`ssh-rsa`) is not. */
const schemes: Readonly<Record<string, Scheme>> = {
  "ssh-ed25519": { keyType: "ssh-ed25519", hash: null },
  "ecdsa-sha2-nistp256": { keyType: "ecdsa-sha2-nistp256", hash: "sha256", fieldBytes: 32 },
  "ecdsa-sha2-nistp384": { keyType: "ecdsa-sha2-nistp384", hash: "sha384", fieldBytes: 48 },
  "ecdsa-sha2-nistp521": { keyType: "ecdsa-sha2-nistp521", hash: "sha512", fieldBytes: 66 },
  "rsa-sha2-256": { keyType: "ssh-rsa", hash: "sha256" },
  "rsa-sha2-512": { keyType: "ssh-rsa", hash: "sha512" },
};

/** Whether keys of `keyType` sign with `algorithm` here. */
export function isSignatureAlgorithmOf(keyType: string, algorithm: string): boolean {
  return Object.hasOwn(schemes, algorithm) && schemes[algorithm]?.keyType === keyType;
}

/**
 * Whether `signature` (a blob: algorithm name and value, RFC 4253, 6.6) was made over `message` by the key of
 * `publicKey`. False for whatever is malformed, of another key type, or signed with SHA-1; it never throws.
 */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const reader = new WireReader(signature);
    const algorithm = reader.name();
    const value = reader.string();
    reader.end();
    const scheme = Object.hasOwn(schemes, algorithm) ? schemes[algorithm] : undefined;
    if (scheme === undefined || scheme.keyType !== keyTypeOf(publicKey)) return false;
    const key = publicKeyObject(publicKey);
    if (scheme.fieldBytes === undefined) return verify(scheme.hash, message, key, value);
    const raw = fixedWidth(value, scheme.fieldBytes);
    return verify(scheme.hash, message, { key, dsaEncoding: "ieee-p1363" }, raw);
  } catch {
    return false;
  }
}

/** The bare signature value (without the algorithm name) by a private key; `RangeError` for an algorithm that is not supported. */
export function signatureValue(key: KeyObject, algorithm: string, data: Uint8Array): Buffer {
  const scheme = Object.hasOwn(schemes, algorithm) ? schemes[algorithm] : undefined;
  if (scheme === undefined) throw new RangeError(`there is no signature algorithm "${algorithm}"`);
  if (scheme.fieldBytes === undefined) return sign(scheme.hash, data, key);
  const raw = sign(scheme.hash, data, { key, dsaEncoding: "ieee-p1363" });
  return ecdsaValue(raw);
}

/** ECDSA's r‖s of fixed width, as PKCS#11 and P1363 have it, as SSH's value: two mpints (RFC 5656, 3.1.2). */
export function ecdsaValue(raw: Uint8Array): Buffer {
  const half = raw.length / 2;
  return Buffer.concat([encodeMpint(raw.subarray(0, half)), encodeMpint(raw.subarray(half))]);
}

/** Signature blob: algorithm name and value. */
export function signatureBlob(algorithm: string, value: Uint8Array): Buffer {
  return Buffer.concat([encodeString(algorithm), encodeString(value)]);
}

/** Only numbers in their one canonical form (RFC 4251, 5): else one signature could be written in many ways. */
function fixedWidth(value: Uint8Array, fieldBytes: number): Buffer {
  const reader = new WireReader(value);
  const numbers = [reader.string(), reader.string()];
  reader.end();
  return Buffer.concat(
    numbers.map((number) => {
      const magnitude = number[0] === 0 ? number.subarray(1) : number;
      if (!encodeMpint(magnitude).subarray(4).equals(number))
        throw new RangeError("a number in a false form");
      if (magnitude.length > fieldBytes) throw new RangeError("a number of the signature is too long");
      return Buffer.concat([Buffer.alloc(fieldBytes - magnitude.length), magnitude]);
    }),
  );
}
