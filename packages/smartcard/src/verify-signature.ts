import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import type { PublicKey } from "@farside/ssh";
import { WireReader } from "@farside/ssh/wire";

const jwkCurves: Readonly<Record<string, { crv: string; fieldBytes: number }>> = {
  nistp256: { crv: "P-256", fieldBytes: 32 },
  nistp384: { crv: "P-384", fieldBytes: 48 },
  nistp521: { crv: "P-521", fieldBytes: 66 },
};
const hashes: Readonly<Record<string, string>> = {
  "rsa-sha2-256": "sha256",
  "rsa-sha2-512": "sha512",
  "ecdsa-sha2-nistp256": "sha256",
  "ecdsa-sha2-nistp384": "sha384",
  "ecdsa-sha2-nistp521": "sha512",
};

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

function toJwk(blob: Uint8Array): JsonWebKey {
  const reader = new WireReader(blob);
  const type = reader.name();
  if (type === "ssh-rsa") {
    const [e, n] = [reader.string(), reader.string()];
    return { kty: "RSA", e: encode(e), n: encode(n) };
  }
  if (type === "ssh-ed25519") return { kty: "OKP", crv: "Ed25519", x: encode(reader.string()) };
  const curve = jwkCurves[reader.name()];
  if (curve === undefined) throw new RangeError("unknown curve");
  const point = reader.string();
  const middle = 1 + curve.fieldBytes;
  return {
    kty: "EC",
    crv: curve.crv,
    x: encode(point.subarray(1, middle)),
    y: encode(point.subarray(middle)),
  };
}

function toRawPair(signature: Uint8Array, fieldBytes: number): Buffer {
  const reader = new WireReader(signature);
  const field = (): Buffer => {
    const digits = reader.string();
    const bare = digits[0] === 0 ? digits.subarray(1) : digits;
    if (bare.length > fieldBytes) throw new RangeError("number too long");
    return Buffer.concat([Buffer.alloc(fieldBytes - bare.length), bare]);
  };
  const pair = Buffer.concat([field(), field()]);
  reader.end();
  return pair;
}

/**
 * Whether `signature` (the bare value, RFC 4253, 6.6) is one of `data` by `key`. Checked for every signature of a card: a
 * faulty RSA signature would give the private key away, and a server would only say "refused".
 */
export function verifySignature(
  key: PublicKey,
  algorithm: string,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const publicKey = createPublicKey({ key: toJwk(key.blob), format: "jwk" });
    const curve = /^ecdsa-sha2-(\w+)$/.exec(algorithm)?.[1];
    if (curve === undefined) return verify(hashes[algorithm] ?? null, data, publicKey, signature);
    const raw = toRawPair(signature, jwkCurves[curve]?.fieldBytes ?? 0);
    return verify(hashes[algorithm], data, { key: publicKey, dsaEncoding: "ieee-p1363" }, raw);
  } catch {
    return false;
  }
}
