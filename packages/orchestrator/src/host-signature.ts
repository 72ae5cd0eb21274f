import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { encodeMpint, encodeString, WireReader } from "@farside/ssh/wire";

/** Hash of each signature algorithm that a key of the type may use. SHA-1 (`ssh-rsa`) is not among them. */
export const SIGNATURE_HASHES: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  "ssh-rsa": { "rsa-sha2-256": "sha256", "rsa-sha2-512": "sha512" },
  "ssh-ed25519": { "ssh-ed25519": null },
  "ecdsa-sha2-nistp256": { "ecdsa-sha2-nistp256": "sha256" },
  "ecdsa-sha2-nistp384": { "ecdsa-sha2-nistp384": "sha384" },
  "ecdsa-sha2-nistp521": { "ecdsa-sha2-nistp521": "sha512" },
};

const CURVES: Readonly<Record<string, { name: string; jwk: string; fieldBytes: number }>> = {
  "ecdsa-sha2-nistp256": { name: "nistp256", jwk: "P-256", fieldBytes: 32 },
  "ecdsa-sha2-nistp384": { name: "nistp384", jwk: "P-384", fieldBytes: 48 },
  "ecdsa-sha2-nistp521": { name: "nistp521", jwk: "P-521", fieldBytes: 66 },
};

/** Whether a key of type `keyType` may sign with `algorithm`. Own properties only: both names come from outside. */
export function isAlgorithmOf(keyType: string, algorithm: string): boolean {
  const algorithms = Object.hasOwn(SIGNATURE_HASHES, keyType) ? SIGNATURE_HASHES[keyType] : undefined;
  return algorithms !== undefined && Object.hasOwn(algorithms, algorithm);
}

/** Type name at the start of a public key blob; undefined where there is none. */
export function keyTypeOf(blob: Uint8Array): string | undefined {
  try {
    return new WireReader(blob).name();
  } catch {
    return undefined;
  }
}

export type HostSignatureFault = "host-key-type" | "host-key-format" | "host-algorithm" | "server-signature";

/**
 * Checks that the host key `keyBlob` made the signature `signatureBlob` (RFC 4253, 6.6; RFC 5656; RFC 8332; RFC 8709)
 * over `message`. Undefined where it did, else what is wrong. Blobs must be in their one canonical form.
 */
export function hostSignatureFault(
  keyBlob: Uint8Array,
  message: Uint8Array,
  signatureBlob: Uint8Array,
): HostSignatureFault | undefined {
  const keyType = keyTypeOf(keyBlob);
  if (keyType === undefined || !Object.hasOwn(SIGNATURE_HASHES, keyType)) return "host-key-type";
  const key = readKey(keyType, keyBlob);
  if (key === undefined) return "host-key-format";
  const parts = readSignature(signatureBlob);
  if (parts === undefined) return "server-signature";
  if (!isAlgorithmOf(keyType, parts.algorithm)) return "host-algorithm";
  const hash = SIGNATURE_HASHES[keyType]?.[parts.algorithm] ?? null;
  try {
    const curve = CURVES[keyType];
    if (curve === undefined) return verify(hash, message, key, parts.value) ? undefined : "server-signature";
    const signature = ieeeSignature(parts.value, curve.fieldBytes);
    const isGood = verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
    return isGood ? undefined : "server-signature";
  } catch {
    return "server-signature";
  }
}

function readSignature(blob: Uint8Array): { algorithm: string; value: Buffer } | undefined {
  try {
    const reader = new WireReader(blob);
    const parts = { algorithm: reader.name(), value: reader.string() };
    reader.end();
    return parts;
  } catch {
    return undefined;
  }
}

/** r and s (mpints) as two fields of fixed size. */
function ieeeSignature(value: Uint8Array, fieldBytes: number): Buffer {
  const reader = new WireReader(value);
  const fields = [reader.string(), reader.string()].map((mpint) => {
    const magnitude = mpint[0] === 0 ? mpint.subarray(1) : mpint;
    if (magnitude.length > fieldBytes || !encodeMpint(magnitude).subarray(4).equals(mpint)) {
      throw new RangeError("not a canonical mpint of the curve");
    }
    return Buffer.concat([Buffer.alloc(fieldBytes - magnitude.length), magnitude]);
  });
  reader.end();
  return Buffer.concat(fields);
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

function readKey(keyType: string, blob: Uint8Array): KeyObject | undefined {
  try {
    const reader = new WireReader(blob);
    reader.string();
    const { jwk, canonical } = readKeyFields(keyType, reader);
    reader.end();
    if (!Buffer.concat([encodeString(keyType), canonical]).equals(blob)) return undefined;
    return createPublicKey({ format: "jwk", key: jwk });
  } catch {
    return undefined;
  }
}

function readKeyFields(
  keyType: string,
  reader: WireReader,
): { jwk: Record<string, string>; canonical: Buffer } {
  if (keyType === "ssh-rsa") {
    const [exponent, modulus] = [reader.string(), reader.string()];
    return {
      jwk: { kty: "RSA", e: base64url(unsigned(exponent)), n: base64url(unsigned(modulus)) },
      canonical: Buffer.concat([encodeMpint(unsigned(exponent)), encodeMpint(unsigned(modulus))]),
    };
  }
  if (keyType === "ssh-ed25519") {
    const point = reader.string();
    return { jwk: { kty: "OKP", crv: "Ed25519", x: base64url(point) }, canonical: encodeString(point) };
  }
  const curve = CURVES[keyType];
  if (curve === undefined || reader.name() !== curve.name) throw new RangeError("another curve");
  const point = reader.string();
  const { fieldBytes } = curve;
  // Uncompressed points only (RFC 5656, 3.1).
  if (point.length !== 1 + 2 * fieldBytes || point[0] !== 4)
    throw new RangeError("not an uncompressed point");
  const [x, y] = [point.subarray(1, 1 + fieldBytes), point.subarray(1 + fieldBytes)];
  return {
    jwk: { kty: "EC", crv: curve.jwk, x: base64url(x), y: base64url(y) },
    canonical: Buffer.concat([encodeString(curve.name), encodeString(point)]),
  };
}

function unsigned(mpint: Buffer): Buffer {
  if (mpint.length === 0 || ((mpint[0] ?? 0) & 0x80) !== 0) throw new RangeError("not a positive number");
  return mpint[0] === 0 ? mpint.subarray(1) : mpint;
}
