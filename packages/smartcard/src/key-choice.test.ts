import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fittingKeys, noKeyError, usableKeys } from "./key-choice.ts";
import { keyType } from "./pkcs11.ts";
import type { ObjectFacts } from "./signer-messages.ts";
import { tokenFacts } from "./testing/token-facts.ts";

const ecParams = Buffer.from("06082a8648ce3d030107", "hex");

function publicObject(id: number, label: string, canSign?: boolean): ObjectFacts {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const { x, y } = publicKey.export({ format: "jwk" });
  const ecPoint = Buffer.concat([
    Buffer.of(4),
    Buffer.from(String(x), "base64url"),
    Buffer.from(String(y), "base64url"),
  ]);
  return { kind: "public", id: Buffer.of(id), label, keyType: keyType.ec, ecParams, ecPoint, canSign };
}
const privateObject = (id: number, facts: Partial<ObjectFacts> = {}): ObjectFacts => ({
  ...{ kind: "private", id: Buffer.of(id), label: `private ${id}`, keyType: keyType.ec, canSign: true },
  ...facts,
});
const ids = (keys: readonly { id: Uint8Array }[]): string[] =>
  keys.map(({ id }) => Buffer.from(id).toString("hex"));

const authentication = publicObject(1, "PIV AUTH pubkey", true);
const signing = publicObject(2, "SIGN pubkey", true);
const management = publicObject(3, "KEY MAN pubkey", false);

describe("usableKeys", () => {
  it("leaves out what can't sign, before and after the login", () => {
    const visible = [management, signing, authentication];
    expect(ids(usableKeys(visible))).toEqual(["01", "02"]);
    const secrets = [privateObject(1, { canSign: false }), privateObject(2), privateObject(3)];
    expect(ids(usableKeys([...visible, ...secrets]))).toEqual(["02", "03"]);
  });

  it("offers keys that need the PIN each time last", () => {
    const secrets = [privateObject(1, { alwaysAuthenticate: true }), privateObject(2)];
    const keys = usableKeys([authentication, signing, ...secrets]);
    expect(ids(keys)).toEqual(["02", "01"]);
    expect(keys.map(({ alwaysAuthenticate }) => alwaysAuthenticate)).toEqual([undefined, true]);
  });

  it("offers a key once, however many objects show it", () => {
    const certificate: ObjectFacts = { kind: "certificate", id: Buffer.of(1), label: "certificate" };
    expect(usableKeys([certificate, authentication]).map(({ label }) => label)).toEqual(["PIV AUTH pubkey"]);
  });
});

describe("fittingKeys", () => {
  const objects = [authentication, signing, privateObject(1), privateObject(2)];
  const piv = tokenFacts();
  const fitting = (wish: Parameters<typeof fittingKeys>[1], token = piv): string[] =>
    ids(fittingKeys(objects, wish, token));

  it("finds a key by id, by any of its labels, and by PIV slot", () => {
    expect(fitting({})).toEqual(["01", "02"]);
    expect(fitting({ key: "02" })).toEqual(["02"]);
    expect(fitting({ key: "SIGN pubkey" })).toEqual(["02"]);
    expect(fitting({ key: "private 1" })).toEqual(["01"]);
    expect(fitting({ key: "9C" })).toEqual(["02"]);
    expect(fitting({ key: "9C" }, tokenFacts({ manufacturer: "other" }))).toEqual([]);
    expect(fitting({ id: Buffer.of(1) })).toEqual(["01"]);
    expect(fitting({ id: Buffer.of(1), object: "SIGN pubkey" })).toEqual([]);
    expect(fitting({ object: "SIGN pubkey" })).toEqual(["02"]);
  });

  it("names what there is where nothing fits", () => {
    expect(noKeyError(objects, { key: "77" }, piv)).toMatchObject({
      code: "card.no-key",
      message: expect.stringContaining("no key 77"),
      hint: 'it has 01 "PIV AUTH pubkey", 02 "SIGN pubkey"',
    });
    expect(noKeyError([], {}, piv)).toMatchObject({
      message: expect.stringContaining("no key that can log in"),
    });
  });
});
