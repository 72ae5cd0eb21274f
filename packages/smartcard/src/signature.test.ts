import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { publicKeyBlob, signatureBlob, verifySignature } from "@farside/ssh";
import { describe, expect, it } from "vitest";
import { mechanism } from "./pkcs11.ts";
import { planSignature, toSshSignature } from "./signature.ts";

const rsaToken = { mechanisms: [mechanism.rsaPkcs], modulusBytes: 256 };
const ecToken = { mechanisms: [mechanism.ecdsa], modulusBytes: 0 };
const data = Buffer.from("abc");
const hex = (digits: string): Buffer => Buffer.from(digits, "hex");

describe("planSignature", () => {
  it("gives RSA the DigestInfo of the algorithm's hash (RFC 8017, 9.2)", () => {
    const plan = planSignature("rsa-sha2-256", data, rsaToken);
    expect(plan).toMatchObject({ mechanism: mechanism.rsaPkcs, outputBytes: 256 });
    expect(plan.input.toString("hex")).toBe(
      "3031300d060960864801650304020105000420" +
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(planSignature("rsa-sha2-512", data, rsaToken).input.subarray(0, 19).toString("hex")).toBe(
      "3051300d060960864801650304020305000440",
    );
  });

  it("lets the card hash where it knows no other way", () => {
    const mechanisms = [mechanism.sha512RsaPkcs, mechanism.ecdsaSha384];
    expect(planSignature("rsa-sha2-512", data, { mechanisms, modulusBytes: 256 })).toEqual({
      mechanism: mechanism.sha512RsaPkcs,
      input: data,
      outputBytes: 256,
    });
    expect(planSignature("ecdsa-sha2-nistp384", data, { mechanisms, modulusBytes: 0 })).toMatchObject({
      mechanism: mechanism.ecdsaSha384,
      input: data,
    });
  });

  it.each([
    ["ecdsa-sha2-nistp256", "sha256", 64],
    ["ecdsa-sha2-nistp384", "sha384", 96],
    ["ecdsa-sha2-nistp521", "sha512", 132],
  ])("gives %s the %s digest and room for %i bytes", (algorithm, hash, outputBytes) => {
    const plan = planSignature(algorithm, data, ecToken);
    expect(plan).toMatchObject({ mechanism: mechanism.ecdsa, outputBytes });
    expect(plan.input).toEqual(createHash(hash).update(data).digest());
  });

  it("gives Ed25519 the data as it is", () => {
    expect(planSignature("ssh-ed25519", data, ecToken)).toEqual({
      mechanism: mechanism.eddsa,
      input: data,
      outputBytes: 64,
    });
  });

  it("knows no SHA-1", () => {
    expect(() => planSignature("ssh-rsa", data, rsaToken)).toThrow("not a signature algorithm");
    expect(() => planSignature("constructor", data, rsaToken)).toThrow("not a signature algorithm");
  });
});

describe("toSshSignature", () => {
  const ecPlan = planSignature("ecdsa-sha2-nistp256", data, ecToken);

  it("writes r and s as mpints: a high bit gets a zero, leading zeros go", () => {
    const r = `00000000${"11".repeat(28)}`;
    const s = `ff${"22".repeat(31)}`;
    expect(toSshSignature("ecdsa-sha2-nistp256", hex(r + s), ecPlan).toString("hex")).toBe(
      `0000001c${"11".repeat(28)}` + `0000002100ff${"22".repeat(31)}`,
    );
  });

  it("takes a pair of which both halves were cut equally", () => {
    expect(toSshSignature("ecdsa-sha2-nistp256", hex("7f01" + "6f02"), ecPlan).toString("hex")).toBe(
      "00000002" + "7f01" + "00000002" + "6f02",
    );
  });

  it("pads RSA on the left to the modulus", () => {
    const plan = planSignature("rsa-sha2-256", data, rsaToken);
    const short = Buffer.alloc(254, 7);
    expect(toSshSignature("rsa-sha2-256", short, plan)).toEqual(Buffer.concat([Buffer.alloc(2), short]));
  });

  it.each([
    ["ecdsa-sha2-nistp256", 0],
    ["ecdsa-sha2-nistp256", 63],
    ["ecdsa-sha2-nistp256", 66],
    ["ssh-ed25519", 63],
    ["rsa-sha2-256", 257],
  ])("refuses a signature of %s of %i bytes", (algorithm, length) => {
    const plan = planSignature(algorithm, data, rsaToken);
    expect(() => toSshSignature(algorithm, Buffer.alloc(length, 1), plan)).toThrow(
      expect.objectContaining({ code: "card.failed" }),
    );
  });

  it("makes of 400 raw P-521 signatures what verifies, short numbers among them", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "secp521r1" });
    const plan = planSignature("ecdsa-sha2-nistp521", data, ecToken);
    const blob = publicKeyBlob(publicKey);
    let shortNumbers = 0;
    for (let count = 0; count < 400; count += 1) {
      const raw = sign("sha512", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
      // 521 bits: the top byte of a number is 0 or 1, and every second one is short.
      if (raw[0] === 0) shortNumbers += 1;
      const value = toSshSignature("ecdsa-sha2-nistp521", raw, plan);
      if (!verifySignature(blob, data, signatureBlob("ecdsa-sha2-nistp521", value)))
        expect.fail(raw.toString("hex"));
    }
    expect(shortNumbers).toBeGreaterThan(50);
  });
});
