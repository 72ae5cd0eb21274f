import { createPublicKey, type KeyObject } from "node:crypto";
import type { PublicKey } from "./identity.ts";
import { encodeMpint, encodeString, WireReader } from "./wire.ts";

/** SSH's names of the NIST curves (RFC 5656, 6.1), node's, and the size of a coordinate in bytes. */
const curves: Readonly<Record<string, { readonly crv: string; readonly bytes: number }>> = {
  nistp256: { crv: "P-256", bytes: 32 },
  nistp384: { crv: "P-384", bytes: 48 },
  nistp521: { crv: "P-521", bytes: 66 },
};
const minRsaBits = 1024;
const maxRsaBits = 16_384;

type Jwk = Record<string, string>;

/**
 * Reads a public key blob: Ed25519, ECDSA on a NIST curve, or RSA. Throws `RangeError` on anything else, also on a blob
 * that has a shorter or another spelling: two blobs are the same key only when they are equal byte by byte.
 */
export function parsePublicKey(blob: Uint8Array, comment = ""): PublicKey {
  const { type } = readBlob(blob);
  return { type, blob: Uint8Array.from(blob), comment };
}

/** Node's form of a public key blob; throws `RangeError` as `parsePublicKey` does, also for a point that is not on its curve. */
export function publicKeyObject(blob: Uint8Array): KeyObject {
  const { jwk } = readBlob(blob);
  try {
    return createPublicKey({ key: jwk, format: "jwk" });
  } catch (error) {
    throw new RangeError("the public key is not valid", { cause: error });
  }
}

/** The blob of an Ed25519, NIST curve or RSA key; throws `RangeError` for another kind. */
export function publicKeyBlob(key: KeyObject): Buffer {
  const jwk = key.export({ format: "jwk" });
  const bytes = (value: string | undefined) => Buffer.from(value ?? "", "base64url");
  if (jwk.kty === "OKP" && jwk.crv === "Ed25519")
    return Buffer.concat([encodeString("ssh-ed25519"), encodeString(bytes(jwk.x))]);
  if (jwk.kty === "RSA")
    return Buffer.concat([encodeString("ssh-rsa"), encodeMpint(bytes(jwk.e)), encodeMpint(bytes(jwk.n))]);
  const curve = Object.entries(curves).find(([, { crv }]) => crv === jwk.crv)?.[0];
  if (jwk.kty !== "EC" || curve === undefined)
    throw new RangeError("a key of this kind can't be used for SSH");
  const point = Buffer.concat([Buffer.of(4), bytes(jwk.x), bytes(jwk.y)]);
  return Buffer.concat([encodeString(`ecdsa-sha2-${curve}`), encodeString(curve), encodeString(point)]);
}

/** A line of authorized_keys or a `.pub` file, without options; throws `RangeError`. */
export function parsePublicKeyLine(line: string): PublicKey {
  const [type, base64 = "", ...comment] = line.trim().split(/\s+/u);
  if (!/^[A-Za-z0-9+/]+={0,2}$/u.test(base64)) throw new RangeError("not a public key line");
  const key = parsePublicKey(Buffer.from(base64, "base64"), comment.join(" "));
  if (key.type !== type) throw new RangeError("the line names another key type than its key");
  return key;
}

/** The line for authorized_keys. */
export function publicKeyLine({ type, blob, comment }: PublicKey): string {
  const fields = [type, Buffer.from(blob).toString("base64"), comment];
  return fields.filter((field) => field !== "").join(" ");
}

function readBlob(blob: Uint8Array): { type: string; jwk: Jwk } {
  const reader = new WireReader(blob);
  const type = reader.name();
  const jwk = readKey(type, reader);
  reader.end();
  return { type, jwk };
}

function readKey(type: string, reader: WireReader): Jwk {
  if (type === "ssh-ed25519") {
    const x = reader.string();
    if (x.length !== 32) throw new RangeError("an Ed25519 key has 32 bytes");
    return { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") };
  }
  if (type === "ssh-rsa") {
    const e = readPositiveMpint(reader);
    const n = readPositiveMpint(reader);
    const bits = n.length * 8;
    if (bits < minRsaBits || bits > maxRsaBits || e.length > 8)
      throw new RangeError(`an RSA key of ${bits} bits`);
    return { kty: "RSA", e: e.toString("base64url"), n: n.toString("base64url") };
  }
  const name = /^ecdsa-sha2-(nistp\d+)$/u.exec(type)?.[1] ?? "";
  const curve = Object.hasOwn(curves, name) ? curves[name] : undefined;
  if (curve === undefined) throw new RangeError("an unknown key type");
  if (reader.name() !== name) throw new RangeError("the key names two curves");
  const point = reader.string();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4)
    throw new RangeError("not an uncompressed point");
  const x = point.subarray(1, 1 + curve.bytes).toString("base64url");
  const y = point.subarray(1 + curve.bytes).toString("base64url");
  return { kty: "EC", crv: curve.crv, x, y };
}

/** The magnitude; there is exactly one spelling of a number that is taken. */
function readPositiveMpint(reader: WireReader): Buffer {
  const encoded = reader.string();
  const magnitude = encoded[0] === 0 ? encoded.subarray(1) : encoded;
  if (magnitude.length === 0 || !encodeMpint(magnitude).subarray(4).equals(encoded) || magnitude[0] === 0)
    throw new RangeError("a number in the key has another spelling");
  return magnitude;
}
