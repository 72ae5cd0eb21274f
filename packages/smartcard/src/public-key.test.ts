import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicKeyBlob } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import { keyType } from "./pkcs11.ts";
import { toPublicKey } from "./public-key.ts";
import type { ObjectFacts } from "./signer-messages.ts";

const object = (facts: Partial<ObjectFacts>): ObjectFacts => ({
  kind: "public",
  id: Buffer.of(1),
  label: "a key",
  ...facts,
});
const part = (key: KeyObject, name: "n" | "e" | "x" | "y"): Buffer =>
  Buffer.from(String(key.export({ format: "jwk" })[name]), "base64url");

describe("toPublicKey", () => {
  it.each([
    ["prime256v1", "06082a8648ce3d030107", "0441"],
    ["secp384r1", "06052b81040022", "0461"],
    ["secp521r1", "06052b81040023", "048185"],
  ])("takes a point on %s in an OCTET STRING and bare", (namedCurve, oid, header) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve });
    const point = Buffer.concat([Buffer.of(4), part(publicKey, "x"), part(publicKey, "y")]);
    const ecParams = Buffer.from(oid, "hex");
    const wrapped = Buffer.concat([Buffer.from(header, "hex"), point]);
    for (const ecPoint of [wrapped, point]) {
      const key = toPublicKey(object({ keyType: keyType.ec, ecParams, ecPoint }));
      expect(key?.blob).toEqual(publicKeyBlob(publicKey));
      expect(key?.comment).toBe("a key");
    }
    for (const ecPoint of [wrapped.subarray(1), point.subarray(1), Buffer.concat([wrapped, Buffer.of(0)])])
      expect(toPublicKey(object({ keyType: keyType.ec, ecParams, ecPoint }))).toBeUndefined();
  });

  it("takes Ed25519 in an OCTET STRING and bare, and no other Edwards curve", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const point = part(publicKey, "x");
    for (const ecPoint of [Buffer.concat([Buffer.of(4, 32), point]), point])
      expect(toPublicKey(object({ keyType: keyType.edwards, ecPoint }))?.blob).toEqual(
        publicKeyBlob(publicKey),
      );
    const ed448 = Buffer.concat([Buffer.of(4, 57), Buffer.alloc(57)]);
    expect(toPublicKey(object({ keyType: keyType.edwards, ecPoint: ed448 }))).toBeUndefined();
  });

  it("takes RSA, with leading zeros too, and knows the size of its signatures", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const modulus = Buffer.concat([Buffer.of(0), part(publicKey, "n")]);
    const publicExponent = part(publicKey, "e");
    expect(toPublicKey(object({ keyType: keyType.rsa, modulus, publicExponent }))).toMatchObject({
      type: "ssh-rsa",
      blob: publicKeyBlob(publicKey),
      modulusBytes: 256,
    });
  });

  it.each([
    ["-newkey rsa:2048", "ssh-rsa", keyType.rsa, 256],
    ["-newkey ec -pkeyopt ec_paramgen_curve:secp384r1", "ecdsa-sha2-nistp384", keyType.ec, 0],
    ["-newkey ed25519", "ssh-ed25519", keyType.edwards, 0],
  ])("takes the key of a certificate made with %s", (options, type, pkcs11Type, modulusBytes) => {
    const folder = mkdtempSync(join(tmpdir(), "farside-certificate-"));
    try {
      const file = join(folder, "der");
      const args = ["req", "-x509", "-nodes", "-subj", "/CN=test", ...options.split(" ")];
      execFileSync("openssl", [...args, "-keyout", join(folder, "key"), "-outform", "DER", "-out", file], {
        stdio: "ignore",
      });
      const certificate = readFileSync(file);
      expect(toPublicKey(object({ kind: "certificate", certificate }))).toMatchObject({
        ...{ type, modulusBytes, keyType: pkcs11Type },
      });
      expect(toPublicKey(object({ kind: "certificate", certificate: certificate.subarray(9) }))).toBe(
        undefined,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves out what SSH can't use, and makes labels safe to print", () => {
    expect(toPublicKey(object({ keyType: 0x1f }))).toBeUndefined();
    expect(toPublicKey(object({ keyType: keyType.rsa }))).toBeUndefined();
    const ecPoint = Buffer.alloc(65, 4);
    const secp256k1 = Buffer.from("06052b8104000a", "hex");
    expect(toPublicKey(object({ keyType: keyType.ec, ecParams: secp256k1, ecPoint }))).toBeUndefined();
    const label = "evil\u001b[2J\nlabel\u202e";
    const key = toPublicKey(object({ label, keyType: keyType.edwards, ecPoint: Buffer.alloc(32, 1) }));
    expect(key?.comment).toBe("evil\\x1b[2J\\nlabel\\u{202e}");
  });
});
