import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { PublicKey } from "@farside/ssh";
import { encodeMpint, encodeString } from "@farside/ssh/wire";

/** A key pair with the blobs that SSH makes of it: a host's, or one of ours. */
export interface TestKey extends PublicKey {
  /** Signature blob (RFC 4253, 6.6) over `message`. */
  signatureOver(message: Uint8Array, algorithm?: string): Buffer;
}

const CURVES = {
  "ecdsa-sha2-nistp256": "P-256",
  "ecdsa-sha2-nistp384": "P-384",
  "ecdsa-sha2-nistp521": "P-521",
} as const;
export type TestKeyType = "ssh-ed25519" | "ssh-rsa" | keyof typeof CURVES;

const HASHES: Record<string, string | null> = {
  "ssh-ed25519": null,
  "ssh-rsa": "sha1",
  "rsa-sha2-256": "sha256",
  "rsa-sha2-512": "sha512",
  "ecdsa-sha2-nistp256": "sha256",
  "ecdsa-sha2-nistp384": "sha384",
  "ecdsa-sha2-nistp521": "sha512",
};

/** A new key of `type`, made with node:crypto. */
export function makeTestKey(type: TestKeyType): TestKey {
  const { publicKey, privateKey } = makePair(type);
  const jwk = publicKey.export({ format: "jwk" });
  const field = (name: "x" | "y" | "n" | "e") => Buffer.from(jwk[name] ?? "", "base64url");
  const rest =
    type === "ssh-rsa"
      ? Buffer.concat([encodeMpint(field("e")), encodeMpint(field("n"))])
      : type === "ssh-ed25519"
        ? encodeString(field("x"))
        : Buffer.concat([
            encodeString(type.slice("ecdsa-sha2-".length)),
            encodeString(Buffer.concat([Buffer.of(4), field("x"), field("y")])),
          ]);
  return {
    type,
    blob: Buffer.concat([encodeString(type), rest]),
    comment: "test",
    signatureOver: (message, algorithm = type === "ssh-rsa" ? "rsa-sha2-512" : type) =>
      Buffer.concat([
        encodeString(algorithm),
        encodeString(signatureValue(privateKey, type, message, algorithm)),
      ]),
  };
}

function makePair(type: TestKeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  if (type === "ssh-ed25519") return generateKeyPairSync("ed25519");
  if (type === "ssh-rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: CURVES[type] });
}

function signatureValue(key: KeyObject, type: TestKeyType, message: Uint8Array, algorithm: string): Buffer {
  const hash = HASHES[algorithm] ?? null;
  if (!type.startsWith("ecdsa-")) return sign(hash, message, key);
  const raw = sign(hash, message, { key, dsaEncoding: "ieee-p1363" });
  const half = raw.length / 2;
  return Buffer.concat([encodeMpint(raw.subarray(0, half)), encodeMpint(raw.subarray(half))]);
}

export interface UserauthFields {
  readonly sessionId?: Uint8Array;
  readonly message?: number;
  readonly user?: string | Uint8Array;
  readonly service?: string;
  readonly method?: string;
  readonly hasSignature?: number;
  readonly algorithm?: string;
  readonly publicKey: Uint8Array;
  readonly tail?: Uint8Array;
}

/** The bytes of a userauth request that are to be signed (RFC 4252, 7), each field as the test wants it. */
export function userauthData(fields: UserauthFields): Buffer {
  const {
    sessionId = randomBytes(32),
    message = 50,
    user = "signer",
    service = "ssh-connection",
    method = "publickey",
    hasSignature = 1,
    algorithm = "ssh-ed25519",
    publicKey,
    tail = Buffer.alloc(0),
  } = fields;
  return Buffer.concat([
    encodeString(sessionId),
    Buffer.of(message),
    encodeString(user),
    encodeString(service),
    encodeString(method),
    Buffer.of(hasSignature),
    encodeString(algorithm),
    encodeString(publicKey),
    tail,
  ]);
}
