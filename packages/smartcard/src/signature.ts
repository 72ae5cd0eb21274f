import { createHash } from "node:crypto";
import { CodedError } from "@farside/protocol";
import { ecdsaValue } from "@farside/ssh";
import { mechanism } from "./pkcs11.ts";

/** How a card is asked for one SSH signature. */
export interface SignaturePlan {
  /** CKM_* value. */
  readonly mechanism: number;
  /** What C_Sign gets: the data, its digest, or DigestInfo. */
  readonly input: Buffer;
  /** Bytes of C_Sign's answer. */
  readonly outputBytes: number;
}

type Hash = "sha256" | "sha384" | "sha512";

/** DER of DigestInfo up to the digest (RFC 8017, 9.2, note 1). */
const digestInfoPrefix: Readonly<Record<Hash, Buffer>> = {
  sha256: Buffer.from("3031300d060960864801650304020105000420", "hex"),
  sha384: Buffer.from("3041300d060960864801650304020205000430", "hex"),
  sha512: Buffer.from("3051300d060960864801650304020305000440", "hex"),
};

interface AlgorithmRow {
  readonly hash?: Hash;
  /** Signs what the host prepared. */
  readonly bare: number;
  /** Hashes on the card; for modules that lack the bare mechanism. */
  readonly hashing?: number;
  /** Bytes of r and of s. */
  readonly fieldBytes?: number;
}

const algorithms: Readonly<Record<string, AlgorithmRow>> = {
  "rsa-sha2-256": { hash: "sha256", bare: mechanism.rsaPkcs, hashing: mechanism.sha256RsaPkcs },
  "rsa-sha2-512": { hash: "sha512", bare: mechanism.rsaPkcs, hashing: mechanism.sha512RsaPkcs },
  "ecdsa-sha2-nistp256": {
    hash: "sha256",
    bare: mechanism.ecdsa,
    hashing: mechanism.ecdsaSha256,
    fieldBytes: 32,
  },
  "ecdsa-sha2-nistp384": {
    hash: "sha384",
    bare: mechanism.ecdsa,
    hashing: mechanism.ecdsaSha384,
    fieldBytes: 48,
  },
  "ecdsa-sha2-nistp521": {
    hash: "sha512",
    bare: mechanism.ecdsa,
    hashing: mechanism.ecdsaSha512,
    fieldBytes: 66,
  },
  "ssh-ed25519": { bare: mechanism.eddsa },
};

/**
 * What to ask the card for, so that its answer is a signature of `data` as `algorithm`.
 * @param mechanisms CKM_* values that the token lists; an empty list means that it lists none, and the bare one is tried.
 * @param modulusBytes size of an RSA key
 */
export function planSignature(
  algorithm: string,
  data: Uint8Array,
  { mechanisms, modulusBytes }: { mechanisms: readonly number[]; modulusBytes: number },
): SignaturePlan {
  const row = algorithmRow(algorithm);
  const outputBytes = row.fieldBytes !== undefined ? 2 * row.fieldBytes : row.hash ? modulusBytes : 64;
  if (row.hash === undefined) return { mechanism: row.bare, input: Buffer.from(data), outputBytes };
  const onlyHashing =
    row.hashing !== undefined && !mechanisms.includes(row.bare) && mechanisms.includes(row.hashing);
  if (onlyHashing) return { mechanism: row.hashing, input: Buffer.from(data), outputBytes };
  const digest = createHash(row.hash).update(data).digest();
  const isRsa = row.fieldBytes === undefined;
  const input = isRsa ? Buffer.concat([digestInfoPrefix[row.hash], digest]) : digest;
  return { mechanism: row.bare, input, outputBytes };
}

/**
 * The SSH signature value of what C_Sign gave: r and s as mpints (RFC 5656, 3.1.2), RSA padded on the left to the
 * modulus (RFC 8332, 3; cards drop leading zeros), Ed25519 as it is (RFC 8709, 6). Rejects sizes that can't be.
 */
export function toSshSignature(algorithm: string, raw: Uint8Array, plan: SignaturePlan): Buffer {
  const row = algorithmRow(algorithm);
  const impossible = (): CodedError =>
    new CodedError("card.failed", `the card gave ${raw.length} bytes for a signature of ${algorithm}`, {
      leg: "card",
    });
  if (raw.length === 0 || raw.length > plan.outputBytes) throw impossible();
  if (row.fieldBytes !== undefined) {
    // Short pairs come from modules that cut both halves equally.
    if (raw.length % 2 !== 0) throw impossible();
    return ecdsaValue(raw);
  }
  if (row.hash === undefined) {
    if (raw.length !== plan.outputBytes) throw impossible();
    return Buffer.from(raw);
  }
  return Buffer.concat([Buffer.alloc(plan.outputBytes - raw.length), raw]);
}

function algorithmRow(algorithm: string): AlgorithmRow {
  const row = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined;
  if (row === undefined) throw new Error(`not a signature algorithm of cards: ${algorithm}`);
  return row;
}
