import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  parsePublicKey,
  parsePublicKeyLine,
  publicKeyBlob,
  publicKeyLine,
  publicKeyObject,
} from "./public-key.ts";
import {
  ecdsaValue,
  isSignatureAlgorithmOf,
  signatureBlob,
  signatureValue,
  verifySignature,
} from "./ssh-signature.ts";
import { encodeMpint, encodeString, WireReader } from "./wire.ts";

const message = Buffer.from("the exchange hash");

interface Case {
  readonly algorithm: string;
  readonly privateKey: KeyObject;
  readonly blob: Buffer;
}

function keyCase(algorithm: string, pair: { publicKey: KeyObject; privateKey: KeyObject }): Case {
  return { algorithm, privateKey: pair.privateKey, blob: publicKeyBlob(pair.publicKey) };
}

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const cases: readonly Case[] = [
  keyCase("ssh-ed25519", generateKeyPairSync("ed25519")),
  keyCase("ecdsa-sha2-nistp256", generateKeyPairSync("ec", { namedCurve: "P-256" })),
  keyCase("ecdsa-sha2-nistp384", generateKeyPairSync("ec", { namedCurve: "P-384" })),
  keyCase("ecdsa-sha2-nistp521", generateKeyPairSync("ec", { namedCurve: "P-521" })),
  keyCase("rsa-sha2-256", rsa),
  keyCase("rsa-sha2-512", rsa),
];
const rsaBlob = publicKeyBlob(rsa.publicKey);

describe.each(cases)("a signature of $algorithm", ({ algorithm, privateKey, blob }) => {
  const made = () => signatureBlob(algorithm, signatureValue(privateKey, algorithm, message));

  test("verifies, a hundred times over (short r and s do occur)", () => {
    const count = algorithm.startsWith("rsa") ? 5 : 100;
    const results = Array.from({ length: count }, () => verifySignature(blob, message, made()));
    expect(results.every(Boolean)).toBe(true);
  });

  test("does not verify for another message, another key, or when a bit is turned", () => {
    const signature = made();
    expect(verifySignature(blob, Buffer.from("another"), signature)).toBe(false);
    for (const other of cases)
      if (!other.blob.equals(blob)) expect(verifySignature(other.blob, message, signature)).toBe(false);
    for (let at = 0; at < signature.length; at += 7) {
      const turned = Buffer.from(signature);
      turned.writeUInt8(turned.readUInt8(at) ^ 1, at);
      expect(verifySignature(blob, message, turned)).toBe(false);
    }
  });

  test("does not verify when it is cut or has bytes too many", () => {
    const signature = made();
    expect(verifySignature(blob, message, signature.subarray(0, -1))).toBe(false);
    expect(verifySignature(blob, message, Buffer.concat([signature, Buffer.of(0)]))).toBe(false);
    expect(verifySignature(blob, message, Buffer.alloc(0))).toBe(false);
  });

  test("does not verify under another spelling of the key", () => {
    const signature = made();
    expect(verifySignature(Buffer.concat([blob, Buffer.of(0)]), message, signature)).toBe(false);
    expect(verifySignature(blob.subarray(0, -1), message, signature)).toBe(false);
  });
});

test("SHA-1 is neither made nor accepted", () => {
  const sha1 = signatureBlob("ssh-rsa", sign("sha1", message, rsa.privateKey));
  expect(verifySignature(rsaBlob, message, sha1)).toBe(false);
  expect(() => signatureValue(rsa.privateKey, "ssh-rsa", message)).toThrow(RangeError);
  expect(isSignatureAlgorithmOf("ssh-rsa", "ssh-rsa")).toBe(false);
  expect(isSignatureAlgorithmOf("ssh-rsa", "rsa-sha2-512")).toBe(true);
  expect(isSignatureAlgorithmOf("ssh-ed25519", "constructor")).toBe(false);
});

test("an ECDSA value has no leading zeros but the ones that keep numbers positive", () => {
  const raw = Buffer.from(`${"00".repeat(31)}7f${"80".repeat(32)}`, "hex");
  expect(ecdsaValue(raw).toString("hex")).toBe(`000000017f0000002100${"80".repeat(32)}`);
});

test("an ECDSA signature verifies in its one form only", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const blob = publicKeyBlob(publicKey);
  // Until both numbers need no zero in front, so that one is too many.
  for (;;) {
    const reader = new WireReader(signatureValue(privateKey, "ecdsa-sha2-nistp256", message));
    const [r, s] = [reader.string(), reader.string()];
    if (r[0] === 0 || s[0] === 0) continue;
    const written = (...numbers: Buffer[]) =>
      signatureBlob("ecdsa-sha2-nistp256", Buffer.concat(numbers.map(encodeString)));
    expect(verifySignature(blob, message, written(r, s))).toBe(true);
    expect(verifySignature(blob, message, written(Buffer.concat([Buffer.of(0), r]), s))).toBe(false);
    expect(verifySignature(blob, message, written(r, Buffer.concat([Buffer.of(0), s])))).toBe(false);
    return;
  }
});

describe("a public key", () => {
  test.each(cases)("of $algorithm is read from its blob and its line, and written as it was", ({ blob }) => {
    const key = parsePublicKey(blob, "some comment");
    expect(publicKeyBlob(publicKeyObject(key.blob))).toEqual(blob);
    expect(parsePublicKeyLine(`${publicKeyLine(key)}\n`)).toEqual(key);
  });

  const ed25519 = (bytes: number) =>
    Buffer.concat([encodeString("ssh-ed25519"), encodeString(Buffer.alloc(bytes, 1))]);
  const rsaOf = (e: Buffer, n: Buffer) =>
    Buffer.concat([encodeString("ssh-rsa"), encodeString(e), encodeString(n)]);
  const modulus = Buffer.alloc(256, 0xc1);
  const point = (curve: string, named: string, bytes: Buffer) =>
    Buffer.concat([encodeString(`ecdsa-sha2-${curve}`), encodeString(named), encodeString(bytes)]);
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["an unknown type", Buffer.concat([encodeString("ssh-dss"), encodeString("x")])],
    ["a certificate", encodeString("ssh-ed25519-cert-v01@openssh.com")],
    ["a type that is a property of every object", encodeString("constructor")],
    ["an Ed25519 key that is too short", ed25519(31)],
    ["an Ed25519 key with bytes behind it", Buffer.concat([ed25519(32), Buffer.of(0)])],
    [
      "an RSA key whose exponent has a zero too many",
      rsaOf(Buffer.of(0, 3), Buffer.concat([Buffer.of(0), modulus])),
    ],
    ["an RSA key with a negative modulus", rsaOf(Buffer.of(3), modulus)],
    ["an RSA key that is too small", rsaOf(Buffer.of(3), Buffer.alloc(64, 1))],
    ["an RSA key that is too large", rsaOf(Buffer.of(3), Buffer.alloc(4096, 1))],
    ["a point of another curve than it says", point("nistp256", "nistp384", Buffer.alloc(65, 4))],
    ["a compressed point", point("nistp256", "nistp256", Buffer.alloc(33, 2))],
  ])("that is %s is refused", (_what, blob) => {
    expect(() => parsePublicKey(blob)).toThrow(RangeError);
    expect(verifySignature(blob, message, signatureBlob("ssh-ed25519", Buffer.alloc(64)))).toBe(false);
  });

  test("that is no point of its curve is refused when it is used", () => {
    const off = point("nistp256", "nistp256", Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]));
    expect(() => publicKeyObject(off)).toThrow(RangeError);
  });

  test.each(["", "ssh-ed25519", "ssh-ed25519 ???", `ssh-rsa ${ed25519(32).toString("base64")}`])(
    "line %j is refused",
    (line) => {
      expect(() => parsePublicKeyLine(line)).toThrow(RangeError);
    },
  );

  test("has its numbers in the shortest form", () => {
    expect(rsaBlob).toEqual(
      Buffer.concat([
        encodeString("ssh-rsa"),
        encodeMpint(Buffer.of(1, 0, 1)),
        encodeMpint(Buffer.from(rsa.publicKey.export({ format: "jwk" }).n ?? "", "base64url")),
      ]),
    );
  });
});
