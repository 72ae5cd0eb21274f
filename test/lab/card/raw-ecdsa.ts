import { createECDH, randomBytes } from "node:crypto";
import { encodeTlv } from "./tlv.ts";

const curves = {
  prime256v1: {
    bytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  secp384r1: {
    bytes: 48,
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
} as const;
export type CardCurve = keyof typeof curves;

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const toBytes = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(length * 2, "0"), "hex");

function modularInverse(value: bigint, modulus: bigint): bigint {
  let [r, nextR, t, nextT] = [modulus, value % modulus, 0n, 1n];
  while (nextR !== 0n) {
    const quotient = r / nextR;
    [r, nextR, t, nextT] = [nextR, r - quotient * nextR, nextT, t - quotient * nextT];
  }
  return ((t % modulus) + modulus) % modulus;
}

function derInteger(value: bigint): Buffer {
  let digits = value.toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  if (Number.parseInt(digits.slice(0, 2), 16) >= 0x80) digits = `00${digits}`;
  return encodeTlv("02", Buffer.from(digits, "hex"));
}

/**
 * ECDSA over a digest that the host made, as a card does it: DER SEQUENCE of r and s (RFC 3279, 2.2.3). node:crypto
 * can only sign data that it hashes itself. Not constant-time: for test cards.
 */
export function signDigest(curve: CardCurve, privateScalar: Uint8Array, digest: Uint8Array): Buffer {
  const { order, bytes } = curves[curve];
  const secret = toInteger(privateScalar);
  const hashed = toInteger(digest.subarray(0, bytes));
  for (;;) {
    const nonce = toInteger(randomBytes(bytes + 8)) % order;
    if (nonce === 0n) continue;
    const ecdh = createECDH(curve);
    ecdh.setPrivateKey(toBytes(nonce, bytes));
    const r = toInteger(ecdh.getPublicKey().subarray(1, 1 + bytes)) % order;
    const s = (modularInverse(nonce, order) * ((hashed + r * secret) % order)) % order;
    if (r !== 0n && s !== 0n) return encodeTlv("30", derInteger(r), derInteger(s));
  }
}
