import { randomBytes } from "node:crypto";
import { keyTypeOf } from "../public-key-type.ts";
import { encodeString, encodeUint32 } from "../wire.ts";

export interface CertificateAuthority {
  readonly blob: Uint8Array;
  /** Signature blob (RFC 4253, 6.6) over `message`. */
  signatureOver(message: Uint8Array): Uint8Array;
}

export interface HostCertificateFields {
  /** Default 2, for hosts. */
  readonly kind?: number;
  /** Default: `sign`. */
  readonly principals?: readonly string[];
  /** Seconds since 1970; default: an hour before and after now. */
  readonly validAfter?: number;
  readonly validBefore?: number;
  /** Instead of the authority's. */
  readonly signature?: Uint8Array;
}

/** A certificate of OpenSSH about the key `blob`, by `authority`. */
export function hostCertificate(
  blob: Uint8Array,
  authority: CertificateAuthority,
  fields: HostCertificateFields = {},
): Buffer {
  const now = Math.floor(Date.now() / 1000);
  const { kind = 2, principals = ["sign"], validAfter = now - 3600, validBefore = now + 3600 } = fields;
  const type = keyTypeOf(blob);
  const body = Buffer.concat([
    ...[encodeString(`${type}-cert-v01@openssh.com`), encodeString(randomBytes(32))],
    blob.subarray(encodeString(type).length),
    ...[uint64(1), encodeUint32(kind), encodeString("test")],
    encodeString(Buffer.concat(principals.map(encodeString))),
    ...[uint64(validAfter), uint64(validBefore)],
    ...["", "", ""].map(encodeString),
    encodeString(authority.blob),
  ]);
  return Buffer.concat([body, encodeString(fields.signature ?? authority.signatureOver(body))]);
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
