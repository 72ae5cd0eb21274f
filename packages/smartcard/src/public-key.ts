import { X509Certificate } from "node:crypto";
import { harmless } from "@farside/protocol";
import { type PublicKey, parsePublicKey, publicKeyBlob } from "@farside/ssh";
import { encodeMpint, encodeString } from "@farside/ssh/wire";
import { keyType } from "./pkcs11.ts";

import type { ObjectFacts } from "./signer-messages.ts";

/** A public key on a token, in SSH's and in PKCS#11's terms. */
export interface TokenPublicKey extends PublicKey {
  /** CKA_KEY_TYPE. */
  readonly keyType: number;
  /** Bytes of the modulus; 0 for keys other than RSA. */
  readonly modulusBytes: number;
}

/** By CKA_EC_PARAMS (DER of the curve's OID). */
const curves: Readonly<Record<string, { readonly name: string; readonly fieldBytes: number }>> = {
  "06082a8648ce3d030107": { name: "nistp256", fieldBytes: 32 },
  "06052b81040022": { name: "nistp384", fieldBytes: 48 },
  "06052b81040023": { name: "nistp521", fieldBytes: 66 },
};
const keyTypes: Readonly<Record<string, number>> = {
  "ssh-rsa": keyType.rsa,
  "ssh-ed25519": keyType.edwards,
};
const ED25519_BYTES = 32;

/** The SSH key of a public key object or certificate; undefined for kinds that SSH can't use or that are malformed. */
export function toPublicKey(object: ObjectFacts): TokenPublicKey | undefined {
  const comment = harmless(object.label);
  if (object.certificate !== undefined) return fromCertificate(object.certificate, comment);
  switch (object.keyType) {
    case keyType.rsa: {
      const { modulus, publicExponent } = object;
      return modulus && publicExponent ? rsaKey(modulus, publicExponent, comment) : undefined;
    }
    case keyType.ec: {
      const curve = curves[Buffer.from(object.ecParams ?? []).toString("hex")];
      if (curve === undefined) return undefined;
      const point = unwrapPoint(object.ecPoint, 1 + 2 * curve.fieldBytes);
      return point?.[0] === 4 ? ecKey(curve.name, point, comment) : undefined;
    }
    case keyType.edwards: {
      const point = unwrapPoint(object.ecPoint, ED25519_BYTES);
      return point === undefined ? undefined : ed25519Key(point, comment);
    }
    default:
      return undefined;
  }
}

/** CKA_EC_POINT is a DER OCTET STRING around the point; some modules give the point itself. */
function unwrapPoint(encoded: Uint8Array | undefined, pointBytes: number): Buffer | undefined {
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded);
  if (bytes.length === pointBytes) return bytes;
  const header = pointBytes < 0x80 ? Buffer.of(4, pointBytes) : Buffer.of(4, 0x81, pointBytes);
  const isWrapped =
    bytes.length === header.length + pointBytes && bytes.subarray(0, header.length).equals(header);
  return isWrapped ? bytes.subarray(header.length) : undefined;
}

function rsaKey(modulus: Uint8Array, exponent: Uint8Array, comment: string): TokenPublicKey {
  const blob = Buffer.concat([encodeString("ssh-rsa"), encodeMpint(exponent), encodeMpint(modulus)]);
  const leadingZeros = modulus.findIndex((byte) => byte !== 0);
  const modulusBytes = leadingZeros === -1 ? 0 : modulus.length - leadingZeros;
  return { type: "ssh-rsa", blob, comment, keyType: keyType.rsa, modulusBytes };
}

function ecKey(curve: string, point: Uint8Array, comment: string): TokenPublicKey {
  const type = `ecdsa-sha2-${curve}`;
  const blob = Buffer.concat([encodeString(type), encodeString(curve), encodeString(point)]);
  return { type, blob, comment, keyType: keyType.ec, modulusBytes: 0 };
}

function ed25519Key(point: Uint8Array, comment: string): TokenPublicKey {
  const blob = Buffer.concat([encodeString("ssh-ed25519"), encodeString(point)]);
  return { type: "ssh-ed25519", blob, comment, keyType: keyType.edwards, modulusBytes: 0 };
}

function fromCertificate(der: Uint8Array, comment: string): TokenPublicKey | undefined {
  try {
    const { publicKey } = new X509Certificate(der);
    const blob = publicKeyBlob(publicKey);
    const { type } = parsePublicKey(blob);
    const modulusBytes = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
    return { type, blob, comment, keyType: keyTypes[type] ?? keyType.ec, modulusBytes };
  } catch {
    return undefined;
  }
}
